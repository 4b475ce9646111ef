import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { findVirtiofsd, parseVersion } from "./find.ts";

function fake(context: TestContext, output: string) {
  const folder = mkdtempSync(join(tmpdir(), "caisson-virtiofsd-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "virtiofsd");
  writeFileSync(path, `#!/bin/sh\necho run >>${folder}/runs\n${output}\n`);
  chmodSync(path, 0o755);
  return { folder, path };
}

test("parseVersion tells QEMU's virtiofsd from its successor", () => {
  const c = "virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7)\nusing FUSE kernel interface version 7.36\n";
  assert.deepEqual(parseVersion(c), { flavour: "c", version: "7.2.22" });
  assert.deepEqual(parseVersion("virtiofsd 1.13.2\n"), { flavour: "rust", version: "1.13.2" });
  assert.equal(parseVersion("virtiofs"), undefined);
});

test("findVirtiofsd asks a binary for its version once", async (context) => {
  const { folder, path } = fake(context, "echo 'virtiofsd 1.10.1'");
  const found = { path, flavour: "rust", version: "1.10.1" };
  assert.deepEqual(await findVirtiofsd(folder, path), found);
  rmSync(join(folder, "runs"));
  assert.deepEqual(await findVirtiofsd(folder, path), found);
  assert.throws(() => rmSync(join(folder, "runs")), { code: "ENOENT" });
});

test("findVirtiofsd says what to install when there is none, or another program", async (context) => {
  const { folder, path } = fake(context, "echo hello");
  await assert.rejects(findVirtiofsd(folder, join(folder, "absent")), { code: "CAISSON_E_HOST", remedy: /virtiofsd/ });
  await assert.rejects(findVirtiofsd(folder, path), { code: "CAISSON_E_HOST", message: /"hello"/ });
});
