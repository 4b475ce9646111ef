import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bootId } from "./host-cache.ts";
import { tscKhz } from "./tsc.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-tsc-"));
after(() => rmSync(folder, { recursive: true }));

test("tscKhz measures the same rate twice, to a thousandth", async () => {
  // A busy machine may hold it up in the middle of every reading.
  const rates: number[] = [];
  const areAlike = ([first = 0, second = 0]: number[]) => Math.abs(first - second) < first / 1000;
  while (!areAlike(rates.slice(-2)) && rates.length < 10) rates.push(await tscKhz(join(folder, String(rates.length))));
  assert.ok(areAlike(rates.slice(-2)), rates.join(" "));
  const [rate = 0] = rates.slice(-1);
  assert.ok(rate > 100_000 && rate < 10_000_000, String(rate));
});

test("tscKhz measures once a boot", async () => {
  const kept = join(folder, "tsc.json");
  writeFileSync(kept, JSON.stringify({ key: bootId(), value: 1234 }));
  assert.equal(await tscKhz(folder), 1234);
  writeFileSync(kept, JSON.stringify({ key: "another boot", value: 1234 }));
  assert.notEqual(await tscKhz(folder), 1234);
});
