/** The verbs that engines call for each container, as they write them: neither takes a parser of command lines, nor more than its own action. */
import type { GlobalSettings, PlainCommand } from "../control/plain-command.ts";
import { deleteContainer } from "./actions/delete.ts";
import { pause, resume } from "./actions/freeze.ts";
import { kill } from "./actions/kill.ts";
import { start } from "./actions/start.ts";
import { state } from "./actions/state.ts";
import { begin, reporting } from "./reporting.ts";

type Action = (globals: GlobalSettings, id: string) => void | Promise<void>;

/** Those that have no flags. */
const PLAIN: Readonly<Record<string, Action>> = { start, state, pause, resume };

/** @returns the action of a verb with these words; undefined for whatever the command line's own parser is to look at. */
export function quickAction(verb: string, words: readonly string[]): Action | undefined {
  const flags = words.filter((word) => word.startsWith("-"));
  const [id, second, third] = words.filter((word) => !word.startsWith("-"));
  if (id === undefined || third !== undefined) return undefined;
  if (verb === "kill") {
    const all = allOf(flags, ["-a", "--all"]);
    return all === undefined ? undefined : (globals) => kill(globals, id, second ?? "SIGTERM", all);
  }
  if (second !== undefined) return undefined;
  if (verb === "delete") {
    const force = allOf(flags, ["-f", "--force"]);
    return force === undefined ? undefined : (globals) => deleteContainer(globals, id, force);
  }
  const action = Object.hasOwn(PLAIN, verb) ? PLAIN[verb] : undefined;
  return flags.length > 0 || action === undefined ? undefined : (globals) => action(globals, id);
}

/** Whether any of these flags is given; undefined when another one is. */
function allOf(given: readonly string[], flags: readonly string[]): boolean | undefined {
  return given.every((flag) => flags.includes(flag)) ? given.length > 0 : undefined;
}

/** Carries a command out and sets this process's exit code. @returns false, having done nothing, when it is none of these. */
export function tryQuick({ globals, verb, words }: PlainCommand): boolean {
  const action = quickAction(verb, words);
  if (action === undefined) return false;
  const id = words.find((word) => !word.startsWith("-")) ?? "";
  void reporting(async () => {
    await begin(globals, verb);
    await action(globals, id);
  });
  return true;
}
