import assert from "node:assert/strict";
import { closeSync, writeSync } from "node:fs";
import { test } from "node:test";
import { socketpair } from "../../native/posix/index.ts";
import { ShareLink } from "./share-link.ts";

/** What a link tells of what is written to it in these pieces. */
async function told(...pieces: string[]): Promise<string[]> {
  const [ours, theirs] = socketpair();
  const heard: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const link = new ShareLink(ours, {
    onError: (reason) => {
      heard.push(`error: ${reason}`);
      if (reason === "last") resolve();
    },
    onWarning: (what) => heard.push(`warning: ${what}`),
  });
  for (const piece of [...pieces, "error last\n"]) {
    writeSync(theirs, piece);
    await new Promise(setImmediate);
  }
  await promise;
  link.close();
  closeSync(theirs);
  return heard.slice(0, -1);
}

test("ShareLink tells a warning and an error apart, however they are cut", async () => {
  const lines = ["warning it has not answered\n", "error it has ended\n"];
  const both = ["warning: it has not answered", "error: it has ended"];
  assert.deepEqual(await told(...lines), both);
  assert.deepEqual(await told(lines.join("")), both);
  assert.deepEqual(await told(...lines.join("")), both);
});

test("ShareLink takes nothing that a terminal would obey, no long line and no more than 20 warnings", async () => {
  assert.deepEqual(await told("warning \u001b[2J\n"), ["warning: ?[2J"]);
  assert.deepEqual(await told(`error ${"x".repeat(2000)}\n`), [`error: ${"x".repeat(506)}`]);
  assert.equal((await told("warning again\n".repeat(1000))).length, 20);
});
