import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bootId } from "./remembered.ts";
import { tscKhz } from "./tsc.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-tsc-"));
after(() => rmSync(folder, { recursive: true }));

test("tscKhz measures the same rate twice, to a thousandth", async () => {
  const first = await tscKhz(join(folder, "a"));
  const second = await tscKhz(join(folder, "b"));
  assert.ok(first > 100_000 && first < 10_000_000, String(first));
  assert.ok(Math.abs(first - second) < first / 1000, `${first} and ${second}`);
});

test("tscKhz measures once a boot", async () => {
  const kept = join(folder, "tsc.json");
  writeFileSync(kept, JSON.stringify({ key: bootId(), value: 1234 }));
  assert.equal(await tscKhz(folder), 1234);
  writeFileSync(kept, JSON.stringify({ key: "another boot", value: 1234 }));
  assert.notEqual(await tscKhz(folder), 1234);
});
