/** The words of `create` and `run` as engines and people write them, without a parser of command lines (as quick-words.ts). */
import { splitFlag } from "./exec-words.ts";

export interface LaunchWords {
  id: string;
  /** As it was written. */
  bundle: string;
  pidFile: string | undefined;
  /** Whether the caller leaves when the container runs. */
  detach: boolean;
}

const VERBS = ["create", "run"];
const BUNDLE = ["-b", "--bundle"];
const DETACH = ["-d", "--detach"];

/** @returns undefined for whatever the command line's own parser is to look at. */
export function launchWords(verb: string, words: readonly string[]): LaunchWords | undefined {
  const found: Omit<LaunchWords, "id"> = { bundle: ".", pidFile: undefined, detach: false };
  const ids: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const [name, given] = splitFlag(word);
    if (!word.startsWith("-")) ids.push(word);
    else if (DETACH.includes(word) && verb === "run") found.detach = true;
    else {
      const value = given ?? words[++at];
      if (value === undefined) return undefined;
      if (BUNDLE.includes(name)) found.bundle = value;
      else if (name === "--pid-file") found.pidFile = value;
      else return undefined;
    }
  }
  const [id, more] = ids;
  return id === undefined || more !== undefined || !VERBS.includes(verb) ? undefined : { id, ...found };
}
