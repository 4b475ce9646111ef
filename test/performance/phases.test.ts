import assert from "node:assert/strict";
import { test } from "node:test";
import { medianPhases, parseTrace } from "./phases.ts";

const EVENTS = [
  '{"cat":"daemon","pid":2,"tid":2,"ph":"M","name":"process_name","args":{"name":"daemon"}}',
  '{"cat":"daemon","pid":2,"tid":2,"ph":"X","name":"daemon: load","ts":1500000,"dur":250000}',
  '{"cat":"caisson","pid":1,"tid":1,"ph":"X","name":"create","ts":1000000,"dur":2000000}',
].join(",\n");

test("parseTrace counts from the first phase of either process, and names the process once", () => {
  const expected = [
    { name: "daemon: load", start: 0.5, duration: 0.25 },
    { name: "caisson: create", start: 0, duration: 2 },
  ];
  assert.deepEqual(parseTrace(`[\n${EVENTS}\n]\n`), expected);
});

test("medianPhases takes each phase's median, in the order of their starts", () => {
  const trace = (start: number, duration: number) => [
    { name: "late", start: start + 1, duration },
    { name: "early", start, duration: duration * 2 },
  ];
  assert.deepEqual(medianPhases([trace(0, 1), trace(2, 3), trace(1, 5)]), [
    { name: "early", start: 1, duration: 6 },
    { name: "late", start: 2, duration: 3 },
  ]);
});

test("medianPhases: a phase that some traces lack is of those that have it", () => {
  const [first, second] = medianPhases([
    [{ name: "always", start: 0, duration: 1 }],
    [
      { name: "always", start: 0, duration: 3 },
      { name: "once", start: 1, duration: 1 },
    ],
  ]);
  assert.deepEqual(first, { name: "always", start: 0, duration: 2 });
  assert.deepEqual(second, { name: "once", start: 1, duration: 1 });
});

test("medianPhases: of two that start together the longer, which holds the other, is first", () => {
  const phases = [
    { name: "part", start: 0, duration: 1 },
    { name: "whole", start: 0, duration: 2 },
  ];
  assert.deepEqual(
    medianPhases([phases]).map(({ name }) => name),
    ["whole", "part"],
  );
});
