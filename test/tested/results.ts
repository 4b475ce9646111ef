/** A reporter for the test runner: what this place is, and how many tests of each file have passed; each a line of JSON when it is known. */
import { relative, resolve } from "node:path";
import { type Facts, facts } from "./facts.ts";

const TOP = resolve(import.meta.dirname, "../..");

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface Results {
  facts: Facts;
  /** By the file's path in the checkout. */
  files: Record<string, Counts>;
}

/** The part of an event of the runner that is looked at here. */
export interface Event {
  type: string;
  data: {
    file?: string | undefined;
    counts?: { passed: number; failed: number; cancelled: number; skipped: number };
  };
}

export default async function* report(events: AsyncIterable<Event>): AsyncGenerator<string> {
  yield `${JSON.stringify({ facts: facts() })}\n`;
  for await (const files of countsByFile(events)) yield `${JSON.stringify({ files })}\n`;
}

/** The runner sums each file up when it has ended, and all of them at the end, which has no file. */
export async function* countsByFile(events: AsyncIterable<Event>, top = TOP): AsyncGenerator<Results["files"]> {
  for await (const { type, data } of events) {
    if (type !== "test:summary" || data.file === undefined || data.counts === undefined) continue;
    const { passed, failed, cancelled, skipped } = data.counts;
    yield { [relative(top, data.file)]: { passed, failed: failed + cancelled, skipped } };
  }
}

/** @returns what the reporter wrote, be it that its runner was ended. @throws Error for a text without a place. */
export function parseResults(text: string): Results {
  const lines = text.split("\n").filter((line) => line !== "");
  const parts = lines.map((line) => JSON.parse(line) as Partial<Results>);
  const found = parts.find((part) => part.facts !== undefined)?.facts;
  if (found === undefined) throw new Error("the results do not say where they are from");
  return { facts: found, files: Object.assign({}, ...parts.map(({ files }) => files)) as Results["files"] };
}
