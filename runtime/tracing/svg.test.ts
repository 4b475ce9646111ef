import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaissonError } from "../../protocol/errors.ts";
import { parseTrace } from "./chrome.ts";
import { drawTrace } from "./svg.ts";

const EVENTS = [
  { ph: "M", pid: 7, name: "process_name", args: { name: "daemon" } },
  { ph: "X", pid: 7, name: "VM ready", ts: 5000, dur: 250_000 },
  { ph: "X", pid: 6, name: 'hooks.prestart[0] "<&>"', ts: 1000, dur: 500 },
  { ph: "X", pid: 7, name: 5, ts: 1, dur: 1 },
  null,
];

test("drawTrace draws each phase with its process, its name and how long it took", () => {
  const drawing = drawTrace(parseTrace(JSON.stringify(EVENTS), "t.json"));
  assert.match(drawing, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" width="1200"/);
  for (const part of [
    "daemon 7",
    "process 6",
    "VM ready: 250 ms",
    "hooks.prestart[0] &quot;&lt;&amp;&gt;&quot;: 0.5 ms",
  ]) {
    assert.ok(drawing.includes(part), part);
  }
  assert.equal(drawing.match(/<title>/g)?.length, 2);
  assert.match(drawing, />0 ms<[\s\S]*>50 ms<[\s\S]*>250 ms</);
  assert.doesNotMatch(drawing, /NaN|Infinity/);
});

test("drawTrace bounds what it draws, and says so", () => {
  const events = Array.from({ length: 2000 }, (_, n) => ({ ph: "X", pid: 1, name: `p${n}\u0000`, ts: n, dur: 1 }));
  const drawing = drawTrace(parseTrace(JSON.stringify(events), "t.json"));
  assert.match(drawing, /1500 later phases are left out/);
  assert.ok(!drawing.includes("\u0000"));
});

test("parseTrace says what is wrong with a file that is none", () => {
  for (const text of ["", "{", "{}", "[]", "[1]"]) {
    assert.throws(
      () => parseTrace(text, "t.json"),
      (error: CaissonError) => error.code === "CAISSON_E_USAGE" && error.message.includes("t.json"),
    );
  }
});
