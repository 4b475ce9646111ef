import assert from "node:assert/strict";
import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { test } from "node:test";
import { socketpair } from "../../../native/posix/index.ts";
import { answerOf } from "./start.ts";

const NEVER = new AbortController().signal;

/** What answerOf() makes of a QEMU that has said this much. */
async function answer(said: string, ended: boolean, signal = NEVER): Promise<string> {
  const [ours, theirs] = socketpair();
  writeSync(theirs, said);
  const [maker, qemu] = [ours, theirs].map((fd) => new Socket({ fd, readable: true, writable: true })) as [
    Socket,
    Socket,
  ];
  if (ended) qemu.destroy();
  try {
    return await answerOf(maker, signal, 200);
  } finally {
    maker.destroy();
    qemu.destroy();
  }
}

test("answerOf() gives the first line", async () => {
  assert.equal(await answer("ready\n", false), "ready");
  assert.equal(await answer("error WHY\n", true), "error WHY");
});

test("answerOf() does not wait for ever for a QEMU that says nothing, or has gone", async () => {
  assert.equal(await answer("", false), "it did not answer within 0.2 s");
  assert.equal(await answer("", true), "it ended without a word");
  await assert.rejects(answer("", false, AbortSignal.abort(new Error("enough"))), /enough/);
});
