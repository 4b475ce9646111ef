import { summarise } from "./statistics.ts";

/** A part of a start, as `--trace` records it; times in seconds from the start of the command. */
export interface Phase {
  /** The process, "caisson" or "daemon", and what it did. */
  name: string;
  start: number;
  duration: number;
}

interface TraceEvent {
  ph: string;
  name: string;
  cat: string;
  ts: number;
  dur: number;
}

const MICROSECONDS = 1e6;

/** The phases in a trace file (runtime/process/trace-file.ts). */
export function parseTrace(text: string): Phase[] {
  const events = (JSON.parse(text) as TraceEvent[]).filter(({ ph }) => ph === "X");
  const zero = Math.min(...events.map(({ ts }) => ts));
  return events.map(({ cat, name, ts, dur }) => ({
    name: name.startsWith(`${cat}: `) ? name : `${cat}: ${name}`,
    start: (ts - zero) / MICROSECONDS,
    duration: dur / MICROSECONDS,
  }));
}

/** The median of each phase's start and duration over several traces of the same command, by start. */
export function medianPhases(traces: readonly (readonly Phase[])[]): Phase[] {
  const byName = Map.groupBy(traces.flat(), ({ name }) => name);
  return [...byName]
    .map(([name, phases]) => ({
      name,
      start: summarise(phases.map(({ start }) => start)).median,
      duration: summarise(phases.map(({ duration }) => duration)).median,
    }))
    .sort((a, b) => a.start - b.start || b.duration - a.duration);
}
