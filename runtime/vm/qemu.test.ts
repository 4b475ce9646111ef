import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { compareVersions, fileIdentity, findQemu, parseVersion } from "./qemu.ts";

/** A folder with a program in it that prints what QEMU would, and counts its runs. */
function fake(context: TestContext, output: string) {
  const folder = mkdtempSync(join(tmpdir(), "caisson-qemu-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "qemu");
  writeFileSync(path, `#!/bin/sh\necho run >>${folder}/runs\n${output}\n`);
  chmodSync(path, 0o755);
  return { folder, path };
}

test("findQemu asks a binary for its version and its files once", async (context) => {
  const { folder, path } = fake(context, "echo 'QEMU emulator version 9.1.2 (Debian)'");
  const found = await findQemu(folder, path);
  assert.deepEqual([found.path, found.version], [path, [9, 1, 2]]);
  assert.ok(found.files.includes(path));
  rmSync(join(folder, "runs"));
  assert.deepEqual(await findQemu(folder, path), found);
  assert.throws(() => fileIdentity(join(folder, "runs")), { code: "ENOENT" });
});

test("findQemu asks again when the binary was replaced", async (context) => {
  const { folder, path } = fake(context, "echo 'QEMU emulator version 9.1.2'");
  await findQemu(folder, path);
  writeFileSync(`${path}.new`, "#!/bin/sh\necho 'QEMU emulator version 9.1.3'\n", { mode: 0o755 });
  renameSync(`${path}.new`, path);
  assert.deepEqual((await findQemu(folder, path)).version, [9, 1, 3]);
});

test("findQemu refuses a QEMU that is too old", async (context) => {
  const { folder, path } = fake(context, "echo 'QEMU emulator version 6.2.0'");
  await assert.rejects(findQemu(folder, path), { code: "CAISSON_E_HOST", message: /6\.2\.0.*7\.2/ });
});

test("findQemu says what a program that is no QEMU did", async (context) => {
  const other = fake(context, "echo hello");
  await assert.rejects(findQemu(other.folder, other.path), { code: "CAISSON_E_HOST", message: /printed "hello"/ });
  const failing = fake(context, "exit 3");
  await assert.rejects(findQemu(failing.folder, failing.path), { code: "CAISSON_E_HOST", message: /exit code 3/ });
});

test("findQemu names the package when there is none", async (context) => {
  const { folder } = fake(context, "");
  await assert.rejects(findQemu(folder, join(folder, "absent")), { code: "CAISSON_E_HOST", remedy: /apt-get install/ });
  await assert.rejects(findQemu(folder, "no-such-qemu"), { message: /no-such-qemu in PATH/ });
  await assert.rejects(findQemu(folder, folder), { code: "CAISSON_E_HOST" });
});

test("findQemu looks where shells do for a caller without PATH", async (context) => {
  const { folder } = fake(context, "");
  const path = process.env["PATH"];
  delete process.env["PATH"];
  try {
    await assert.rejects(findQemu(folder, "true"), { code: "CAISSON_E_HOST", message: /printed "true/ });
  } finally {
    process.env["PATH"] = path;
  }
});

test("parseVersion reads what QEMU prints and nothing else", () => {
  assert.deepEqual(parseVersion("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n"), [7, 2, 22]);
  assert.equal(parseVersion("KVM 7.2.22"), undefined);
  assert.equal(parseVersion(""), undefined);
});

test("compareVersions orders by the most significant difference", () => {
  assert.ok(compareVersions([7, 2, 22], [8, 0, 0]) < 0);
  assert.ok(compareVersions([8, 2, 0], [8, 1, 9]) > 0);
  assert.equal(compareVersions([8, 2, 0], [8, 2, 0]), 0);
});

test("fileIdentity changes with the content even when size and time are set back", (context) => {
  const { path } = fake(context, "x");
  utimesSync(path, 1, 1);
  const before = fileIdentity(path);
  assert.equal(fileIdentity(path), before);
  writeFileSync(path, "#!/bin/sh\n");
  utimesSync(path, 1, 1);
  assert.notEqual(fileIdentity(path), before);
});
