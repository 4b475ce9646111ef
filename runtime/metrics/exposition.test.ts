import assert from "node:assert/strict";
import { test } from "node:test";
import { Exposition } from "./exposition.ts";
import { BOUNDS, emptyHistogram, isHistogram, observe } from "./histogram.ts";

test("Exposition.text writes each family once, with its samples together", () => {
  const exposition = new Exposition();
  exposition.counter("a_total", "Counted.", 1, { x: "1" });
  exposition.gauge("b", "Measured.", 2.5);
  exposition.counter("a_total", "Counted.", 3, { x: "2" });
  assert.equal(
    exposition.text(),
    '# HELP a_total Counted.\n# TYPE a_total counter\na_total{x="1"} 1\na_total{x="2"} 3\n' +
      "# HELP b Measured.\n# TYPE b gauge\nb 2.5\n",
  );
});

test("Exposition escapes label values, bounds them, and writes numbers as Prometheus reads them", () => {
  const exposition = new Exposition();
  exposition.gauge("a", "x", Number.POSITIVE_INFINITY, { v: 'q"\\\nz' });
  exposition.gauge("a", "x", 2 ** 64, { v: "y".repeat(9999) });
  const [, , first, second] = exposition.text().split("\n");
  assert.equal(first, 'a{v="q\\"\\\\\\nz"} +Inf');
  assert.equal(second, `a{v="${"y".repeat(253)}"} 18446744073709552000`);
});

test("Exposition refuses names that Prometheus would not take, and two types of one name", () => {
  const exposition = new Exposition();
  assert.throws(() => exposition.gauge("a-b", "x", 1), RangeError);
  exposition.gauge("a", "x", 1);
  assert.throws(() => exposition.counter("a", "x", 1), RangeError);
});

test("Exposition.histogram adds buckets up", () => {
  const histogram = emptyHistogram();
  for (const seconds of [0.001, 0.002, 7, 99]) observe(histogram, seconds);
  assert.ok(isHistogram(histogram));
  const exposition = new Exposition();
  exposition.histogram("t_seconds", "x", histogram, { phase: "p" });
  const text = exposition.text();
  assert.match(text, /t_seconds_bucket\{phase="p",le="0.001"\} 1\n/);
  assert.match(text, /t_seconds_bucket\{phase="p",le="0.0025"\} 2\n/);
  assert.match(text, /t_seconds_bucket\{phase="p",le="10"\} 3\n/);
  assert.match(
    text,
    /t_seconds_bucket\{phase="p",le="\+Inf"\} 4\nt_seconds_sum\{phase="p"\} 106.003\nt_seconds_count\{phase="p"\} 4\n/,
  );
});

test("isHistogram refuses what is none", () => {
  for (const value of [
    undefined,
    1,
    {},
    { buckets: [], sum: 0 },
    { buckets: new Array(BOUNDS.length + 1).fill(-1), sum: 0 },
  ]) {
    assert.ok(!isHistogram(value));
  }
});
