import assert from "node:assert/strict";
import { test } from "node:test";
import type { KnownSandbox } from "../exporter/sandboxes.ts";
import { summarise } from "./summary.ts";

function known(id: string, record: Partial<KnownSandbox["record"]>): KnownSandbox {
  const whole = { id, status: "running", created: "2026-01-01T00:00:00Z", ...record } as KnownSandbox["record"];
  return { id, directory: `/r/${id}`, root: "/r", namespace: "", record: whole };
}

test("summarise names the sandbox that failed last, why, and how the others are", () => {
  const last = { at: 0, sandbox: "web", code: "CAISSON_E_VM_DIED", message: "QEMU was killed by SIGKILL" } as const;
  const sandboxes = [
    known("web", { status: "stopped", exitReason: "x" }),
    known("db", {}),
    known("old", { exitReason: "y" }),
  ];
  const text = summarise({ sandboxes, last, skipped: ["bad"], version: "1.0" });
  assert.match(
    text,
    /^the sandbox that failed last: web, at 1970-01-01T00:00:00.000Z: CAISSON_E_VM_DIED: QEMU was killed/m,
  );
  assert.match(text, /^lost as well: old: y$/m);
  assert.match(text, /^containers and sandboxes: 1 stopped, 2 running$/m);
  assert.match(text, /^records that cannot be read: 1/m);
});

test("summarise says so when nothing has failed", () => {
  const text = summarise({ sandboxes: [], last: undefined, skipped: [], version: "1.0" });
  assert.match(text, /no sandbox has failed/);
  assert.match(text, /containers and sandboxes: none/);
});
