/**
 * Keeps what tests gave, by the place where they were run, for the table (table.ts): node test/tested/place.ts RESULTS ...
 * Of a file that was run there before, the newer counts are kept.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Facts } from "./facts.ts";
import { parseResults, type Results } from "./results.ts";

const FOLDER = join(import.meta.dirname, "places");

/** All that is known of a place, in the order of its files' names. */
export interface Place extends Results {
  /** The day on which it was run last, in UTC. */
  date: string;
}

/** @returns the places by their file's name, in its order. */
export function places(folder = FOLDER): Place[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return names.sort().map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Place);
}

/** The place with newer results; those of a machine that has changed since take the place of all. */
export function merge(known: Place | undefined, { facts, files }: Results, date: string): Place {
  const same = known !== undefined && JSON.stringify(known.facts) === JSON.stringify(facts);
  const all = Object.entries({ ...(same ? known.files : {}), ...files });
  return { date, facts, files: Object.fromEntries(all.sort(([one], [other]) => (one < other ? -1 : 1))) };
}

/** @returns the name of a place's file: "debian-13-kvm-v2-systemd". */
export function nameOf({ system, accelerator, cgroups, systemd }: Facts): string {
  const words = [system.toLowerCase().replace(" ", "-"), accelerator, cgroups, ...(systemd ? ["systemd"] : [])];
  return words.join("-");
}

if (import.meta.main) {
  const today = new Date().toISOString().slice(0, "2026-01-31".length);
  for (const path of process.argv.slice(2)) {
    const results = parseResults(readFileSync(path, "utf8"));
    const file = join(FOLDER, `${nameOf(results.facts)}.json`);
    const known = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Place) : undefined;
    writeFileSync(file, `${JSON.stringify(merge(known, results, today), null, 2)}\n`);
  }
}
