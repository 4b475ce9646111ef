import { appendFileSync, writeFileSync } from "node:fs";

/**
 * `--trace FILE`: what took how long, as Chrome trace events (the JSON array form, whose closing bracket is optional, so
 * that the CLI and the daemon append to one file). Without a file it costs one comparison a phase.
 */
let file: string | undefined;
let label = "caisson";
const lines: string[] = [];

/** Starts tracing to `path`; `name` is shown for this process. The `first` process begins the file anew. */
export function traceTo(path: string | undefined, name: string, first = false): void {
  if (path === undefined) return;
  if (first) writeFileSync(path, "[\n");
  file = path;
  label = name;
  lines.push(event({ ph: "M", name: "process_name", args: { name } }));
  process.once("exit", writeTrace);
}

/**
 * Milliseconds since this process started, which no change of the clock moves; the start of a phase. (Node loads its module
 * perf_hooks for the first who asks for `performance`: 2 to 3 ms.)
 */
export function now(): number {
  return process.uptime() * 1000;
}

/** Records that the phase lasted from `start` (a `now()`) until this moment. */
export function tracePhase(name: string, start: number): void {
  if (file === undefined) return;
  const end = now();
  lines.push(event({ ph: "X", name, ts: micros(start), dur: Math.round((end - start) * 1000) }));
}

/** Appends what has been recorded so far to the file. */
export function writeTrace(): void {
  if (file === undefined || lines.length === 0) return;
  appendFileSync(file, lines.splice(0).join(""));
}

function micros(atMs: number): number {
  return Math.round((performance.timeOrigin + atMs) * 1000);
}

function event(fields: Record<string, unknown>): string {
  return `${JSON.stringify({ cat: label, pid: process.pid, tid: process.pid, ...fields })},\n`;
}
