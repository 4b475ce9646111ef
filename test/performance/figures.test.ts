import assert from "node:assert/strict";
import { test } from "node:test";
import { Figures } from "./figures.ts";
import { parsePromises } from "./promises.ts";

const PROMISES = parsePromises(
  "| what | promised |\n|-|-|\n| `caisson run` of busybox | 0.60 s where the limit is 0.12 s or less; on any machine 5 x the limit |\n" +
    "| `caisson exec` of `true` | 0.25 s |\n",
);

test("Figures.rows: ratios of ours to everyone's who did the same, and of nobody else", () => {
  const figures = new Figures();
  figures.add("run", "caisson", 0.4, 0.6, 0.5);
  figures.add("run", "limit", 0.1);
  figures.add("run", "runc", 0.05);
  figures.add("create", "runc", 0.03);
  const [ours, limit, runc, create] = figures.rows(PROMISES);
  assert.deepEqual(ours?.ratios, [
    { to: "limit", times: 5 },
    { to: "runc", times: 10 },
  ]);
  assert.deepEqual([ours?.minimum, ours?.median, ours?.maximum, ours?.runs], [0.4, 0.5, 0.6, 3]);
  assert.deepEqual([limit?.ratios, runc?.ratios, create?.ratios], [[], [], []]);
});

test("Figures.rows judges our medians by the promises, by each of a promise's bounds", () => {
  const figures = new Figures();
  figures.add("run", "limit", 0.1);
  figures.add("run", "caisson", 0.55);
  figures.add("run", "runc", 9);
  figures.add("exec", "caisson", 0.25);
  const rows = figures.rows(PROMISES);
  assert.deepEqual(
    rows.map(({ by, promises }) => [by, promises.map(({ text, kept }) => `${text} ${kept}`)]),
    [
      ["limit", []],
      ["caisson", ["0.60 s true", "5 x the limit false"]],
      ["runc", []],
      ["caisson", ["0.25 s true"]],
    ],
  );
});

test("Figures.rows keeps the order of the catalogue, whatever was measured first", () => {
  const figures = new Figures();
  figures.add("exec", "caisson", 1);
  figures.add("run", "caisson", 1);
  figures.add("run", "limit", 1);
  assert.deepEqual(
    figures.rows(PROMISES).map(({ thing }) => thing.id),
    ["run", "run", "exec"],
  );
});

test("Figures.add refuses what is not in the catalogue", () => {
  assert.throws(() => new Figures().add("weight", "caisson", 1), /No such thing to measure: weight/);
});

test("Figures.add gathers one thing's samples", () => {
  const figures = new Figures();
  figures.add("idle", "caisson", 1, 2);
  figures.add("idle", "caisson", 3);
  assert.deepEqual(figures.rows([{ what: "CPU of an idle sandbox", bounds: () => [] }])[0]?.samples, [1, 2, 3]);
});
