import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { VolumeEntry } from "../../protocol/generated/agent.ts";
import { Volumes } from "./volumes.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-guest-volumes-"));
after(() => rmSync(folder, { recursive: true }));
const volumes = new Volumes(folder);
const { uid = 0, gid = 0 } = { uid: process.getuid?.(), gid: process.getgid?.() };

const entry = (path: string, mode: number, content = ""): VolumeEntry => {
  return { path, mode, uid, gid, modifiedNs: 1_000_000_000_000n, content: Buffer.from(content) };
};
const folderOf = (path: string) => entry(path, 0o040755);
const file = (path: string, content: string, mode = 0o644) => entry(path, 0o100000 | mode, content);
const link = (path: string, to: string) => entry(path, 0o120777, to);

/** A volume as kubelet has it: each generation in a directory of its own. */
function generation(number: number, keys = ["a", "b"]): VolumeEntry[] {
  return [
    folderOf(""),
    folderOf(`..${number}`),
    ...keys.map((key) => file(`..${number}/${key}`, `${number}`)),
    ...keys.map((key) => link(key, `..data/${key}`)),
    link("..data", `..${number}`),
  ];
}

test("Volumes.write makes what the entries say, and takes away what they do not", async () => {
  const path = join(folder, "1");
  volumes.write({ path, entries: [...generation(1), file("plain", "x", 0o600), folderOf("d"), file("d/e", "y")] });
  assert.equal(readFileSync(join(path, "a"), "utf8"), "1");
  assert.equal(statSync(join(path, "plain")).mode & 0o7777, 0o600);
  assert.equal(statSync(join(path, "plain")).mtimeMs, 1_000_000);
  volumes.write({ path, entries: [...generation(2, ["a"]), folderOf("plain"), file("d", "a file now")] });
  assert.equal(readFileSync(join(path, "a"), "utf8"), "2");
  assert.equal(readFileSync(join(path, "d"), "utf8"), "a file now");
  // For those who are on their way to it.
  assert.equal(readFileSync(join(path, "..1/a"), "utf8"), "1");
  while (existsSync(join(path, "..1"))) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(readdirSync(path).toSorted(), ["..2", "..data", "a", "d", "plain"]);
  volumes.remove(path);
  volumes.remove(path);
  assert.equal(existsSync(path), false);
});

test("Volumes.write is told to who watches, and a reader finds old or new", async () => {
  const path = join(folder, "2");
  volumes.write({ path, entries: generation(0) });
  const names = new Set<string | null>();
  const watcher = watch(path, (_, name) => names.add(name));
  // The link leads to both keys of one generation.
  const script = `while [ ! -e ${folder}/stop ]; do cd -P ${path}/..data && x=$(cat a b) && [ "\${x% *}" ] && set -- $x && [ "$1" = "$2" ] || echo "bad: $x"; done; echo over`;
  const reader = spawn("sh", ["-c", script.replaceAll("cat a b", 'echo "$(cat a) $(cat b)"')], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  reader.stdout.on("data", (data) => {
    said += data;
  });
  for (let number = 1; number <= 50; number++) {
    volumes.write({ path, entries: generation(number) });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  execFileSync("touch", [join(folder, "stop")]);
  await once(reader, "close");
  assert.equal(said, "over\n");
  assert.ok(names.has("..data") && names.has("..50"), [...names].join(" "));
  watcher.close();
  volumes.remove(path);
});

test("Volumes refuses places and paths that are not its own", () => {
  const fails = (path: string, entries: VolumeEntry[]) =>
    assert.throws(() => volumes.write({ path, entries }), { code: "CAISSON_E_STORAGE" });
  fails("/tmp/x", [folderOf("")]);
  fails(join(folder, "name"), [folderOf("")]);
  fails(join(folder, "3"), [folderOf(""), file("../4", "x")]);
  fails(join(folder, "3"), [folderOf(""), entry("device", 0o020600)]);
});
