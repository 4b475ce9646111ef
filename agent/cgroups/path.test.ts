import assert from "node:assert/strict";
import { test } from "node:test";
import { cgroupPath } from "./path.ts";

test("cgroupPath falls back to the sandbox and the container", () => {
  assert.equal(cgroupPath(undefined, "pod", "c1"), "pod/c1");
  assert.equal(cgroupPath("", "pod", "c1"), "pod/c1");
});

test("cgroupPath takes absolute and relative paths from the root", () => {
  assert.equal(cgroupPath("/kubepods/./pod1//c1", "pod", "c1"), "kubepods/pod1/c1");
  assert.equal(cgroupPath("docker/c1", "pod", "c1"), "docker/c1");
  assert.equal(cgroupPath("machine.slice:libpod:abc", "pod", "c1"), "machine.slice/libpod-abc.scope");
});

test("cgroupPath refuses paths that lead elsewhere", () => {
  for (const path of ["/", ".", "../x", "a/../../b"]) {
    assert.throws(() => cgroupPath(path, "pod", "c1"), { field: "linux.cgroupsPath" }, path);
  }
});
