import assert from "node:assert/strict";
import { test } from "node:test";
import { moveRequest } from "./interfaces.ts";

test("moveRequest asks for an acknowledged move of the interface to the process's network namespace", () => {
  const words = Array.from({ length: 10 }, (_, index) => moveRequest(3, 77, 1).readUInt32LE(4 * index));
  // nlmsghdr: length, RTM_NEWLINK with NLM_F_REQUEST and NLM_F_ACK, number, port; ifinfomsg; IFLA_NET_NS_PID.
  assert.deepEqual(words, [40, (5 << 16) | 16, 1, 0, 0, 3, 0, 0, (19 << 16) | 8, 77]);
});
