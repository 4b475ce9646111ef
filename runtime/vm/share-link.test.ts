import assert from "node:assert/strict";
import { closeSync, writeSync } from "node:fs";
import { test } from "node:test";
import { socketpair } from "../../native/posix/index.ts";
import { ShareLink } from "./share-link.ts";

/** What a link tells of what is written to it in these pieces; and what the guest waited for at each warning. */
async function hear(...pieces: string[]) {
  const [ours, theirs] = socketpair();
  const told: string[] = [];
  const waited: (string | undefined)[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const link = new ShareLink(ours, {
    onError: (reason) => {
      told.push(`error: ${reason}`);
      if (reason === "last") resolve();
    },
    onWarning: (what) => {
      told.push(`warning: ${what}`);
      waited.push(link.warning);
    },
  });
  for (const piece of [...pieces, "error last\n"]) {
    writeSync(theirs, piece);
    await new Promise(setImmediate);
  }
  await promise;
  link.close();
  closeSync(theirs);
  return { told: told.slice(0, -1), waited };
}

const told = async (...pieces: string[]) => (await hear(...pieces)).told;
const waitsFor = async (...pieces: string[]) => (await hear(...pieces)).waited;

test("ShareLink tells a warning and an error apart, however they are cut", async () => {
  const lines = ["warning it has not answered\n", "error it has ended\n"];
  const both = ["warning: it has not answered", "error: it has ended"];
  assert.deepEqual(await told(...lines), both);
  assert.deepEqual(await told(lines.join("")), both);
  assert.deepEqual(await told(...lines.join("")), both);
});

test("ShareLink knows what the guest waits for until it waits no more", async () => {
  const waits = await waitsFor("warning it has not answered\n");
  assert.deepEqual(waits, ["it has not answered"]);
  assert.deepEqual(await waitsFor("warning it has not answered\n", "again it answers\n"), [
    "it has not answered",
    undefined,
  ]);
});

test("ShareLink takes nothing that a terminal would obey, no long line and no more than 20 warnings", async () => {
  assert.deepEqual(await told("warning \u001b[2J\n"), ["warning: ?[2J"]);
  assert.deepEqual(await told(`error ${"x".repeat(2000)}\n`), [`error: ${"x".repeat(506)}`]);
  assert.equal((await told("warning again\n".repeat(1000))).length, 20);
});
