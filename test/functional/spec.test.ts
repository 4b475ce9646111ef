import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
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

test("spec --rootless is refused", async () => {
  const result = await host.run(["spec", "--rootless", "-b", folder]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /--rootless is not supported: a VM per container needs root/);
});
