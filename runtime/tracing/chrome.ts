/** Reads the file of `--trace`: Chrome trace events (process/trace-file.ts). */
import { CaissonError } from "../../protocol/errors.ts";

/** A phase of one process. */
export interface Phase {
  process: number;
  name: string;
  /** Microseconds since the epoch, and how many it took. */
  startUs: number;
  durationUs: number;
}

export interface TraceFile {
  /** Names of the processes, by their pids. */
  processes: Map<number, string>;
  /** By their starts. */
  phases: Phase[];
}

/** Throws CAISSON_E_USAGE when the text is no such file, or there is nothing in it. */
export function parseTrace(text: string, path: string): TraceFile {
  let events: unknown;
  try {
    events = JSON.parse(text);
  } catch (cause) {
    throw unreadable(path, `it is no JSON: ${(cause as Error).message}`, cause);
  }
  if (!Array.isArray(events)) throw unreadable(path, "it is no array of events");
  const processes = new Map<number, string>();
  const phases: Phase[] = [];
  for (const event of events as unknown[]) {
    const { ph, name, pid, ts, dur, args } = (event ?? {}) as Record<string, unknown>;
    if (typeof pid !== "number" || typeof name !== "string") continue;
    const named = (args as { name?: unknown } | undefined)?.name;
    if (ph === "M" && name === "process_name" && typeof named === "string") processes.set(pid, named);
    if (ph !== "X" || !Number.isFinite(ts) || !Number.isFinite(dur)) continue;
    phases.push({ process: pid, name, startUs: ts as number, durationUs: Math.max(0, dur as number) });
  }
  if (phases.length === 0) throw unreadable(path, "there are no phases in it");
  phases.sort((a, b) => a.startUs - b.startUs || b.durationUs - a.durationUs);
  return { processes, phases };
}

function unreadable(path: string, why: string, cause?: unknown): CaissonError {
  return new CaissonError("CAISSON_E_USAGE", `cannot draw ${path}: ${why}`, {
    cause,
    remedy: "give a file that caisson --trace has written",
  });
}
