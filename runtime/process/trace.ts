/**
 * What took how long: for `--trace FILE` as Chrome trace events, for `--debug` as records of the log. Without either it
 * costs two comparisons a phase.
 */
import { log } from "../text/log.ts";
import { now, startedAt } from "./clock.ts";

/** Adds events to the trace file (trace-file.ts); undefined without `--trace`. */
let add: ((events: readonly string[]) => void) | undefined;
let label = "caisson";
const events: string[] = [];

/**
 * Starts tracing to `path`; `name` is shown for this process. The `first` process begins the file anew.
 * @throws CaissonError CAISSON_E_USAGE when the file cannot be written.
 */
export async function traceTo(path: string | undefined, name: string, first = false): Promise<void> {
  if (path === undefined) return;
  // Loaded by those who trace: it needs a native addon.
  const { addEvents } = await import("./trace-file.ts");
  addEvents(path, [event({ ph: "M", name: "process_name", args: { name } }, name)], first);
  add = (given) => addEvents(path, given);
  label = name;
  process.once("exit", writeTrace);
}

/** Told of a phase of this process, by `now()`, when it ends. */
type Watcher = (name: string, startMs: number, endMs: number) => void;

/** Whoever counts phases or makes spans of them; nobody by default. */
const watchers = new Set<Watcher>();

/** Has each phase told to `watch` from now on. @returns what ends that; may be called again. */
export function watchPhases(watch: Watcher): () => void {
  watchers.add(watch);
  return () => void watchers.delete(watch);
}

/** Records that the phase lasted from `start` (a `now()`) until this moment. */
export function tracePhase(name: string, start: number): void {
  if (log.level === "debug") log.debug(name, { ms: Math.round((now() - start) * 10) / 10 });
  if (add === undefined && watchers.size === 0) return;
  const end = now();
  for (const watch of watchers) watch(name, start, end);
  if (add === undefined) return;
  events.push(event({ ph: "X", name, ts: micros(start), dur: Math.round((end - start) * 1000) }, label));
}

/** Adds what has been recorded so far to the file. A file that cannot be written any more is no failure of what is traced. */
export function writeTrace(): void {
  if (add === undefined || events.length === 0) return;
  try {
    add(events.splice(0));
  } catch {
    // The file could be written when the process began; what is lost is a trace.
  }
}

function micros(atMs: number): number {
  return Math.round((startedAt() + atMs) * 1000);
}

function event(fields: Record<string, unknown>, cat: string): string {
  return JSON.stringify({ cat, pid: process.pid, tid: process.pid, ...fields });
}
