/** `make install` and `make uninstall`, below a prefix that no option string can take as it is. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { Host, until } from "../harness/host.ts";
import { isRunning } from "../harness/qemu.ts";

const TOP = join(import.meta.dirname, "../..");
const LIMIT_MS = 180_000;
const above = mkdtempSync(join(tmpdir(), "caisson install: of a test, "));
const prefix = join(above, "usr");
const host = new Host();
after(async () => {
  rmSync(above, { recursive: true });
  await host[Symbol.asyncDispose]();
});

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    cwd: TOP,
    encoding: "utf8",
    timeout: LIMIT_MS,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Everything below the prefix. */
const files = () => readdirSync(prefix, { recursive: true, encoding: "utf8" });

test("what is installed runs containers, and is removed with all that it has made", async () => {
  run("make", "man");
  mkdirSync(join(prefix, "share/man"), { recursive: true });
  writeFileSync(join(prefix, "share/others"), "");
  const before = files().sort();
  run("scripts/install.sh", prefix);
  // Over one that is there.
  run("scripts/install.sh", prefix);
  for (const path of ["bin/caisson", "bin/containerd-shim-caisson-v2", "share/man/man8/caisson-run.8"]) {
    assert.ok(files().includes(path), path);
  }
  const caisson = join(prefix, "bin/caisson");
  assert.match(run(caisson, "--version"), /^caisson version /);

  using bundle = new Bundle(["echo", "installed"]);
  bundle.spec.annotations = { "io.caisson.memory_mib": "256" };
  bundle.write();
  const key = run(caisson, "template", "build", "--bundle", bundle.directory).trim();
  const [template] = (
    JSON.parse(run(caisson, "template", "list", "--format", "json")) as { key: string; forkServer?: number }[]
  ).filter((each) => each.key === key);
  const server = template?.forkServer ?? assert.fail("there is no fork server");
  assert.equal(run(caisson, "--root", host.root, "run", "--bundle", bundle.directory, host.id()), "installed\n");

  run("scripts/uninstall.sh", prefix);
  assert.deepEqual(files().sort(), before);
  await until(() => !isRunning(server));
  assert.ok(!run("bin/caisson", "template", "list", "--quiet").includes(key));
});

test("the folders of an installation of its own go with it", () => {
  run("scripts/install.sh", join(prefix, "opt/of its own"));
  run("scripts/uninstall.sh", join(prefix, "opt/of its own"));
  assert.deepEqual(readdirSync(join(prefix, "opt")), []);
});
