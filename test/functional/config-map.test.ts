/** Volumes that the host replaces as a whole, as kubelet does with ConfigMaps, Secrets and tokens. */
import assert from "node:assert/strict";
import { chownSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bundleWithNode, NODE } from "../harness/bundle.ts";
import { Host, until } from "../harness/host.ts";

const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-config-map-"));
after(async () => {
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const SWAPS = 50;

/** Kubernetes, pkg/volume/util/atomic_writer.go. */
function publish(number: number, keys = ["a", "b"]): void {
  const directory = join(folder, `..${number}`);
  mkdirSync(directory);
  for (const key of keys) {
    writeFileSync(join(directory, key), `${number}`, { mode: 0o640 });
    chownSync(join(directory, key), 0, 2000);
  }
  symlinkSync(`..${number}`, join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  rmSync(join(folder, `..${number - 1}`), { recursive: true, force: true });
}

/** Says what happens in the volume, and reads both keys over and over: of one generation, which never goes back. */
const SCRIPT = `
  const fs = require("node:fs");
  let last = -1, reads = 0, seen = 0;
  fs.watch("/config", (_, name) => { if (name === "..data") seen += 1; });
  fs.watch("/config/a", (event) => console.log("file", event));
  console.log("ready");
  setInterval(() => {
    const now = fs.readFileSync("/config/a", "utf8");
    process.chdir(fs.realpathSync("/config/..data"));
    const [a, b] = ["a", "b"].map((key) => Number(fs.readFileSync(key, "utf8")));
    if (a !== b || a < last || Number(now) > a) console.log("mixture", now, a, b, last);
    reads += 1;
    last = a;
    if (a === ${SWAPS}) { console.log("over", reads > 10, seen > 5); process.exit(); }
  }, 1);`;

test("a container reads a ConfigMap while it is replaced, is told of it, and has a file of it as it was", async () => {
  publish(0);
  for (const key of ["a", "b"]) symlinkSync(`..data/${key}`, join(folder, key));
  using bundle = bundleWithNode(
    { destination: "/config", source: folder, options: ["rbind", "ro"] },
    // kubelet does this with subPath: the file, not the link.
    { destination: "/one", source: join(folder, "a"), options: ["bind", "ro"] },
  );
  const id = await host.start(bundle);
  let output = "";
  const watcher = host.spawn(["exec", id, NODE, "-e", SCRIPT]);
  for (const stream of [watcher.stdout, watcher.stderr]) {
    stream?.on("data", (data) => {
      output += data;
    });
  }
  await until(async () => output.includes("ready"));
  for (let number = 1; number <= SWAPS; number++) {
    publish(number);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  await until(async () => /over|mixture|Error/.test(output));
  assert.match(output, /^ready\n(?:file (?:change|rename)\n)+over true true\n$/);

  const inside = (script: string) => host.run(["exec", id, "sh", "-c", script]);
  const { stdout, stderr } = await inside(
    "sleep 2; cat /one /config/a; stat -c ' %a %u:%g' /config/..data/a; touch /config/x; ls -A /config",
  );
  assert.equal(stdout, `0${SWAPS} 640 0:2000\n..${SWAPS}\n..data\na\nb\n`);
  assert.match(stderr, /Read-only file system/);
  await host.ok(["delete", "--force", id]);
});
