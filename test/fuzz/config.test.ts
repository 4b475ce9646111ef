import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzConfig, type Outcome } from "./config.ts";
import { escapes } from "./escape.ts";

/** The runs that take a second or two; `make fuzz` does more. */
const RUNS = 5000;

test("mutated configurations are refused in words or compiled to a plan that stays in the container", () => {
  const counts: Record<Outcome, number> = { accepted: 0, refused: 0, "no JSON": 0 };
  for (let seed = 1; seed <= RUNS; seed++) counts[fuzzConfig(seed)] += 1;
  // Were everything refused, nothing would have been tried.
  for (const [outcome, count] of Object.entries(counts)) assert.ok(count > RUNS / 50, `${count} ${outcome}`);
});

test("escapes finds what reaches out", () => {
  const about = { field: "mounts[0]", task: "" };
  const share = "/run/caisson/share/c";
  for (const step of [
    { op: "openTree" as const, source: "/etc/passwd", recursive: 0, ...about },
    { op: "openTree" as const, source: `${share}/../d/rootfs`, recursive: 0, ...about },
    { op: "attachTree" as const, target: "/a/../../b", ...about },
    { op: "writeFile" as const, path: "/proc/sys/vm/panic", data: "1", ...about },
    { op: "rootfs" as const, path: "/", privateParent: 0, ...about },
    { op: "mask" as const, path: "/a\0b", ...about },
  ]) {
    assert.equal([...escapes([step], share)].length, 1, JSON.stringify(step));
  }
});
