import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { bytesToFree, defaultTemplateDirectory, excess, makePrivateFolder, templateBytes } from "./space.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-space-"));
after(() => rmSync(folder, { recursive: true }));

test("defaultTemplateDirectory is on a tmpfs of the host", () => {
  assert.match(defaultTemplateDirectory(), /^\/(run|dev\/shm)\/caisson-vm\/templates$/);
});

test("makePrivateFolder makes a folder only its owner can enter, and takes it again", () => {
  const path = join(folder, "new", "templates");
  makePrivateFolder(path);
  makePrivateFolder(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
});

test("makePrivateFolder refuses what others can write to, own, or point elsewhere", () => {
  const open = join(folder, "open");
  mkdirSync(open);
  chmodSync(open, 0o777);
  assert.throws(() => makePrivateFolder(join(open, "templates")), { code: "CAISSON_E_TEMPLATE", message: /write/ });
  const foreign = join(folder, "foreign");
  mkdirSync(foreign);
  if (process.geteuid?.() === 0) {
    chownSync(foreign, 12345, 12345);
    assert.throws(() => makePrivateFolder(join(foreign, "templates")), { message: /user 12345/ });
  }
  mkdirSync(join(folder, "mine"));
  symlinkSync(join(folder, "mine"), join(folder, "link"));
  assert.throws(() => makePrivateFolder(join(folder, "link", "templates")), { message: /not a folder/ });
  assert.throws(() => makePrivateFolder(join(folder, "mine", "a\0b")), { code: "CAISSON_E_TEMPLATE" });
});

test("templateBytes covers all of the guest's RAM", () => {
  assert.ok(templateBytes(256) > 256 * 1024 * 1024);
});

test("bytesToFree asks for nothing where there is plenty and gives up where there never is", () => {
  assert.equal(bytesToFree(folder, 1, 0, 1), 0);
  assert.equal(bytesToFree(folder, 1, 0, 2 ** 60), Number.POSITIVE_INFINITY);
  assert.equal(bytesToFree(folder, 0, 0, 1), Number.POSITIVE_INFINITY);
});

test("excess, once freed, leaves what is needed within the share and within what is free", () => {
  const bytes = fc.nat({ max: 1000 });
  fc.assert(
    fc.property(bytes, bytes, bytes, bytes, (allowed, free, usedBytes, neededBytes) => {
      const missing = excess({ allowed, free, usedBytes, neededBytes });
      if (missing === Number.POSITIVE_INFINITY) {
        assert.ok(neededBytes > allowed || neededBytes > free + usedBytes);
      } else {
        assert.ok(usedBytes - missing + neededBytes <= allowed);
        assert.ok(neededBytes <= free + missing);
      }
    }),
  );
});
