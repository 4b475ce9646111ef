import assert from "node:assert/strict";
import { test } from "node:test";
import type { QmpClient } from "./qmp.ts";
import { giveStateFile, incomingUri, stateArguments } from "./saved-state.ts";

const old = [8, 2, 9] as const;
const recent = [9, 0, 0] as const;

test("a QEMU that takes no set of descriptors for a file has the state by its number", () => {
  assert.deepEqual(stateArguments(old, 8), []);
  assert.equal(incomingUri(old, 8), "fd:8");
});

test("a later one, for which fd: is no file, has it by a set", () => {
  assert.deepEqual(stateArguments(recent, 8), ["-add-fd", "fd=8,set=3"]);
  assert.equal(incomingUri(recent, 8), "file:/dev/fdset/3");
});

test("giveStateFile hands over the file in the way that its answer names", async () => {
  const given: unknown[] = [];
  const qmp = {
    passDescriptor: async (name: string, fd: number) => void given.push([name, fd]),
    addDescriptor: async (set: number, fd: number) => void given.push([set, fd]),
  } as unknown as QmpClient;
  assert.equal(await giveStateFile(qmp, old, 8, {}), "fd:state");
  assert.equal(await giveStateFile(qmp, recent, 8, {}), "file:/dev/fdset/3");
  assert.deepEqual(given, [
    ["state", 8],
    [3, 8],
  ]);
});
