import assert from "node:assert/strict";
import { test } from "node:test";
import { guestNamespacePath, isInGuest, parseGuestNamespacePath } from "./guest-contract.ts";

test("parseGuestNamespacePath reads what guestNamespacePath has written, and nothing else", () => {
  const path = guestNamespacePath("a.b+c", "network");
  assert.ok(isInGuest(path));
  assert.deepEqual(parseGuestNamespacePath(path), { container: "a.b+c", file: "network" });
  for (const other of [
    "",
    "/proc/1/ns/net",
    `${path}/x`,
    path.replace("/ns/", "/"),
    `/x${path}`,
    "/run/caisson/containers",
  ])
    assert.equal(parseGuestNamespacePath(other), undefined, other);
});
