import assert from "node:assert/strict";
import { test } from "node:test";
import { Figures } from "./figures.ts";
import type { HostFacts } from "./host-facts.ts";
import { picture } from "./picture.ts";
import { parsePromises } from "./promises.ts";
import { report } from "./report.ts";

const FACTS: HostFacts = {
  date: "2026-01-02T03:04:05.000Z",
  commit: "abc1234",
  processor: "A Processor",
  processors: 2,
  memoryGib: 8,
  kernel: "6.1.0",
  qemu: "7.2.0",
  accelerator: "tcg",
  machine: "microvm",
  transport: "virtio-serial",
  guestMemoryMib: 2048,
  guestProcessors: 1,
  rivals: ["runc 1", "crun 1"],
  node: "v24",
  load: 0.1,
  quiet: true,
};
const PHASES = [{ name: "daemon: load", start: 0.01, duration: 0.1005 }];

function rows() {
  const figures = new Figures();
  figures.add("run", "limit", 0.1, 0.1, 0.4);
  figures.add("run", "caisson", 0.55, 0.5, 0.6);
  figures.add("exec", "caisson", 0.2);
  const promises =
    "| what | promised |\n|-|-|\n| `caisson run` of busybox | on any machine 5 x the limit |\n| `caisson exec` of `true` | 0.25 s |\n";
  return figures.rows(parsePromises(promises));
}

test("report shows minimum, median and maximum, the ratios, and each promise beside its figure", () => {
  const text = report(FACTS, rows(), PHASES);
  assert.match(text, /run of true: bare QEMU clone.* 0\.100 +0\.100 +0\.400 +s +3\n/);
  assert.match(text, /run of true: caisson +0\.500 +0\.550 +0\.600 +s +3 +5\.50 x limit, 5 x the limit: MISSED\n/);
  assert.match(text, /exec of true: caisson +0\.200 +0\.200 +0\.200 +s +1 +0\.25 s: kept\n/);
  assert.match(text, /1 of 2 missed\n {2}MISSED run of true: 0\.550 s, promised 5 x the limit, 0\.500 s\n/);
  assert.match(text, /daemon: load +10\.0 +100\.5\n/);
});

test("report says when the machine was busy, since its figures then say little", () => {
  assert.doesNotMatch(report(FACTS, rows(), PHASES), /BUSY/);
  assert.match(
    report({ ...FACTS, load: 1.5, quiet: false }, rows(), PHASES),
    /load before: 1\.50: THE MACHINE WAS BUSY/,
  );
});

test("picture has a panel for each section and unit, and one for the phases", () => {
  const svg = picture(FACTS, rows(), PHASES);
  for (const title of ["Start with a template (s)", "Single commands (s)", "Phases of a warm run (ms)"]) {
    assert.ok(svg.includes(`>${title}<`), title);
  }
  assert.match(svg, /run of true: the limit</);
});
