import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { drawHistory, HISTORY, PICTURE } from "./history.ts";

test("docs/history.svg is the picture of docs/history.json (node test/performance/history.ts)", () => {
  assert.equal(readFileSync(PICTURE, "utf8"), drawHistory(readFileSync(HISTORY, "utf8")));
});

test("drawHistory marks what is asked, and tells the last version from those before", () => {
  const history = { figures: [{ title: "t", unit: "s", asked: 2, values: { old: 4, new: 1 } }] };
  const svg = drawHistory(JSON.stringify(history));
  assert.equal(svg.match(/#c8351b/g)?.length, 2);
  assert.equal(svg.match(/#2f6fb0/g)?.length, 1);
});
