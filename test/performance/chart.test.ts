import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bar, chart } from "./chart.ts";

const BAR: Bar = { label: "run", value: 2, ours: true };

function bars(svg: string, fill: string) {
  return [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="([\d.]+)" fill="(#\w+)"\/>/g)]
    .filter((match) => match[4] === fill)
    .map((match) => ({ x: Number(match[1]), width: Number(match[2]) }));
}

test("chart draws bars in proportion, from one zero", () => {
  const svg = chart("t", "s", [{ title: "p", unit: "s", bars: [BAR, { ...BAR, value: 1 }, { ...BAR, value: 0.5 }] }]);
  const drawn = bars(svg, "#2f6fb0");
  assert.equal(drawn.length, 3);
  const [two, one, half] = drawn as [(typeof drawn)[0], (typeof drawn)[0], (typeof drawn)[0]];
  assert.equal(two.x, half.x);
  assert.equal(one.width * 2, two.width);
  assert.equal(half.width * 4, two.width);
});

test("chart puts a bar of a sequence where it begins, and a promise where it stands", () => {
  const svg = chart("t", "s", [
    {
      title: "p",
      unit: "s",
      bars: [
        { ...BAR, from: 0, value: 4, marks: [2] },
        { ...BAR, from: 2, value: 2 },
      ],
    },
  ]);
  const [, second] = bars(svg, "#2f6fb0");
  const [mark] = bars(svg, "#c8351b");
  assert.equal((mark?.x ?? 0) + 1, second?.x);
});

test("chart scales to the largest of values, ranges and promises, so that nothing leaves the picture", () => {
  const svg = chart("t", "s", [
    { title: "p", unit: "s", bars: [{ ...BAR, range: { low: 1, high: 30 }, marks: [40] }] },
  ]);
  for (const [, x = "", width = ""] of svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)) {
    assert.ok(Number(x) + Number(width) <= 1000);
  }
});

test("chart escapes what it writes", () => {
  const svg = chart("a < b", "c & d", [{ title: "<script>", unit: "s", bars: [{ ...BAR, label: "1 > 0" }] }]);
  assert.match(svg, /a &lt; b.*c &amp; d.*&lt;script&gt;.*1 &gt; 0/s);
  assert.doesNotMatch(svg, /<script>/);
});

test("chart of nothing but zeros has no invalid number", () => {
  const svg = chart("t", "s", [{ title: "p", unit: "s", bars: [{ ...BAR, value: 0 }] }]);
  assert.doesNotMatch(svg, /NaN|Infinity/);
});
