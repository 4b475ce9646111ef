/** The words of verbs that engines call for each container, as they write them, without a parser of command lines. */

export interface QuickWords {
  id: string;
  /** The signal of `kill`, as it was written. */
  signal: string | undefined;
  /** Whether the verb's only flag is given. */
  flagged: boolean;
}

/** The verbs, and how each one's flag is written. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  delete: ["-f", "--force"],
  kill: ["-a", "--all"],
  pause: [],
  resume: [],
  start: [],
  state: [],
};

/** @returns undefined for whatever the command line's own parser is to look at. */
export function quickWords(verb: string, words: readonly string[]): QuickWords | undefined {
  const flags = Object.hasOwn(FLAGS, verb) ? FLAGS[verb] : undefined;
  const given = words.filter((word) => word.startsWith("-"));
  const [id, signal, more] = words.filter((word) => !word.startsWith("-"));
  if (id === undefined || more !== undefined || !given.every((flag) => flags?.includes(flag))) return undefined;
  if (flags === undefined || (signal !== undefined && verb !== "kill")) return undefined;
  return { id, signal, flagged: given.length > 0 };
}
