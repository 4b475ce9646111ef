import assert from "node:assert/strict";
import { test } from "node:test";
import { type LockedPackage, lockChanges, parseLock, readLock, renderLock } from "./lock.ts";

const SUM = "0123456789abcdef".repeat(4);
const kmod: LockedPackage = {
  role: "guest",
  name: "kmod",
  version: "34.2-2",
  sha256: SUM,
  path: "pool/main/k/kmod/kmod_34.2-2_amd64.deb",
};
const gcc: LockedPackage = {
  ...kmod,
  role: "build",
  name: "gcc-14",
  version: "14.2.0-19",
  path: "pool/main/g/gcc.deb",
};

test("parseLock reads what renderLock writes, the guest's packages first", () => {
  const text = renderLock({ suite: "trixie", packages: [gcc, kmod] });
  assert.deepEqual(parseLock(text), { suite: "trixie", packages: [kmod, gcc] });
  assert.equal(renderLock(parseLock(text)), text);
});

test("parseLock names the line that is wrong", () => {
  const line = `guest kmod 34.2-2 ${SUM} ${kmod.path}`;
  for (const wrong of [
    line.replace("guest", "host"),
    line.replace("kmod", "../kmod"),
    line.replace(SUM, "00ff"),
    line.replace("pool/", "http://elsewhere/"),
    line.replace("main", ".."),
    `${line} more`,
    "suite sid",
  ]) {
    assert.throws(() => parseLock(`suite trixie\n\n${wrong}\n`), /line 3: .* is neither/, wrong);
  }
  assert.throws(() => parseLock(`suite trixie\n${line}\n${line}\n`), /line 3/);
  assert.throws(() => parseLock(`${line}\n`), /names no suite/);
});

test("lockChanges says old and new versions, what came and what went, and nothing of the rest", () => {
  const newer = { ...kmod, version: "35-1" };
  assert.deepEqual(lockChanges([kmod, gcc], [newer, gcc]), ["kmod: 34.2-2 -> 35-1"]);
  assert.deepEqual(lockChanges([kmod], [gcc]), ["gcc-14: new, 14.2.0-19", "kmod: 34.2-2 -> gone"]);
  assert.deepEqual(lockChanges([kmod], [{ ...kmod, sha256: "f".repeat(64) }]), ["kmod: 34.2-2, other bytes"]);
  assert.deepEqual(lockChanges([gcc], [{ ...gcc, role: "guest" }]), ["gcc-14: build -> guest"]);
  assert.deepEqual(lockChanges([kmod, gcc], [gcc, kmod]), []);
});

test("the lock file is as renderLock writes it, and names one kernel", () => {
  const lock = readLock();
  assert.equal(lock.packages.filter(({ name }) => name.startsWith("linux-image-")).length, 1);
  assert.deepEqual(parseLock(renderLock(lock)), lock);
});
