import assert from "node:assert/strict";
import { test } from "node:test";
import { otherThanHostRoot } from "./host-root.ts";

const HOST = "         0          0 4294967295\n";

test("otherThanHostRoot tells root of the host from other users, and from root of a user namespace", () => {
  assert.equal(otherThanHostRoot(0, HOST), undefined);
  assert.equal(otherThanHostRoot(1000, HOST), "not root");
  const rootless = "root of a user namespace only, as with rootless engines";
  assert.equal(otherThanHostRoot(0, "         0       1001          1\n"), rootless);
  assert.equal(otherThanHostRoot(0, "         0       1001          1\n         1     100000      65536\n"), rootless);
  assert.equal(otherThanHostRoot(0, "         0     100000 4294867295\n"), rootless);
});

test("otherThanHostRoot takes a kernel without user namespaces as the host's", () => {
  assert.equal(otherThanHostRoot(0, undefined), undefined);
});
