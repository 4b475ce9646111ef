import assert from "node:assert/strict";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { digest } from "./digest.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-digest-"));
after(() => rmSync(folder, { recursive: true }));

/** Of a file of that size with these texts in it. */
async function of(bytes: number, ...texts: [at: number, text: string | Buffer][]): Promise<string> {
  const fd = openSync(join(folder, "file"), "w+");
  try {
    ftruncateSync(fd, bytes);
    for (const [at, text] of texts) writeSync(fd, Buffer.from(text), 0, undefined, at);
    return await digest(fd);
  } finally {
    closeSync(fd);
  }
}

test("digest tells contents and their places apart", async () => {
  const seen = new Set<string>();
  for (const at of [0, 1, 65_535, 65_536, 10_000_000]) seen.add(await of(20_000_000, [at, "text"]));
  seen.add(await of(20_000_000, [0, "texT"]));
  seen.add(await of(20_000_000, [0, "text"], [10_000_000, "text"]));
  assert.equal(seen.size, 7);
});

test("digest takes zeros for a hole, and a hole of a hundred gigabytes costs nothing", async () => {
  const zeros = Buffer.alloc(300_000);
  const begun = process.cpuUsage();
  assert.equal(await of(100 * 2 ** 30, [5, "text"]), await of(100 * 2 ** 30, [5, "text"], [7_000_000, zeros]));
  assert.ok(process.cpuUsage(begun).user < 5_000_000);
});
