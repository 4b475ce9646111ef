import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "caisson-spec-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("spec writes a config.json into the current folder", async () => {
  await host.ok(["spec"], { cwd: folder });
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  assert.equal(config.ociVersion, "1.2.0");
  assert.deepEqual(config.process.args, ["sh"]);
  assert.equal(config.root.path, "rootfs");
});

test("spec --bundle writes it there", async () => {
  await host.ok(["spec", "--bundle", folder]);
  assert.ok(JSON.parse(readFileSync(join(folder, "config.json"), "utf8")));
});

test("spec never writes over a file", async () => {
  writeFileSync(join(folder, "config.json"), "mine");
  const result = await host.run(["spec", "-b", folder]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /config\.json exists\. Remove it first/);
  assert.equal(readFileSync(join(folder, "config.json"), "utf8"), "mine");
});

test("spec names the folder that does not exist", async () => {
  const result = await host.run(["spec", "-b", join(folder, "none")]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /none\/config\.json: no such file or directory \(ENOENT\)/);
});

test("spec --rootless writes one whose root is the caller's user, and it runs", async () => {
  using bundle = new Bundle();
  rmSync(join(bundle.directory, "config.json"), { force: true });
  await host.ok(["spec", "--rootless", "-b", bundle.directory]);
  const config = JSON.parse(readFileSync(join(bundle.directory, "config.json"), "utf8"));
  config.process.terminal = false;
  config.process.args = ["sh", "-c", "id -u; cat /proc/self/uid_map"];
  config.linux.uidMappings[0].hostID = 1234;
  writeFileSync(join(bundle.directory, "config.json"), JSON.stringify(config));
  const id = host.id();
  assert.match(await host.ok(["run", "-b", bundle.directory, id]), /^0\n\s+0\s+1234\s+1\n$/);
});
