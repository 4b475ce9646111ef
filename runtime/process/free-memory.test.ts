import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

const MIB = 2 ** 20;

/** Runs a program of its own, whose memory is not that of the tests. */
function run(program: string): unknown {
  const source = `import { freeMemory } from "${import.meta.dirname}/free-memory.ts";
    import { readFileSync } from "node:fs";
    const resident = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "latin1"))[1]) * 1024;
    ${program}`;
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", source], { encoding: "utf8" });
  assert.equal(child.status, 0, child.stderr);
  return JSON.parse(child.stdout);
}

test("freeMemory() gives back what nobody needs any more, and keeps what is used", () => {
  const { freed, kept } = run(`
    const objects = (count) => Array.from({ length: count }, (_, index) => ({ index, text: "x" + index }));
    const used = objects(1000);
    let unused = objects(600_000);
    const before = resident();
    unused = undefined;
    freeMemory();
    console.log(JSON.stringify({ freed: before - resident(), kept: used.every(({ text, index }) => text === "x" + index) }));
  `) as { freed: number; kept: boolean };
  assert.ok(freed > 20 * MIB, `${freed / MIB} MiB`);
  assert.ok(kept);
});

test("freeMemory() leaves V8's flags as they were: Node's own modules still load in their compiled form", () => {
  const { hash, globals } = run(`
    import { cachedDataVersionTag } from "node:v8";
    const before = cachedDataVersionTag();
    freeMemory();
    console.log(JSON.stringify({ hash: cachedDataVersionTag() === before, globals: typeof globalThis.gc }));
  `) as { hash: boolean; globals: string };
  assert.ok(hash);
  assert.equal(globals, "undefined");
});
