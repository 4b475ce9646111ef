import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { interfacesOf, moveRequest } from "./interfaces.ts";

test("moveRequest asks for an acknowledged move of the interface to the process's network namespace", () => {
  const words = Array.from({ length: 10 }, (_, index) => moveRequest(3, 77, 1).readUInt32LE(4 * index));
  // nlmsghdr: length, RTM_NEWLINK with NLM_F_REQUEST and NLM_F_ACK, number, port; ifinfomsg; IFLA_NET_NS_PID.
  assert.deepEqual(words, [40, (5 << 16) | 16, 1, 0, 0, 3, 0, 0, (19 << 16) | 8, 77]);
});

test("interfacesOf has the interfaces of a function, and of a virtio device in it", () => {
  const root = mkdtempSync(join(tmpdir(), "caisson-interfaces-"));
  try {
    const made = ["net/eth1", "virtio9/net/eth2"].map((name) => join(root, name));
    for (const path of [...made, join(root, "net/other"), join(root, "power")]) mkdirSync(path, { recursive: true });
    for (const path of made) writeFileSync(join(path, "ifindex"), "3\n");
    assert.deepEqual(interfacesOf(root), made);
    assert.deepEqual(interfacesOf(join(root, "nowhere")), []);
  } finally {
    rmSync(root, { recursive: true });
  }
});
