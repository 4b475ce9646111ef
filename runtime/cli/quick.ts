/** The verbs that engines call for each container, as they write them: neither takes a parser of command lines, nor more than its own action. */
import type { GlobalSettings, PlainCommand } from "../control/plain-command.ts";
import { type QuickWords, quickWords } from "../control/quick-words.ts";
import { deleteContainer } from "./actions/delete.ts";
import { pause, resume } from "./actions/freeze.ts";
import { kill } from "./actions/kill.ts";
import { start } from "./actions/start.ts";
import { state } from "./actions/state.ts";
import { begin, reporting } from "./reporting.ts";

const ACTIONS: Readonly<Record<string, (globals: GlobalSettings, words: QuickWords) => void | Promise<void>>> = {
  delete: (globals, { id, flagged }) => deleteContainer(globals, id, flagged),
  kill: (globals, { id, signal = "SIGTERM", flagged }) => kill(globals, id, signal, flagged),
  pause: (globals, { id }) => pause(globals, id),
  resume: (globals, { id }) => resume(globals, id),
  start: (globals, { id }) => start(globals, id),
  state: (globals, { id }) => state(globals, id),
};

/** Carries a command out and sets this process's exit code. @returns false, having done nothing, when it is none of these. */
export function tryQuick({ globals, verb, words }: PlainCommand): boolean {
  const action = ACTIONS[verb];
  const found = quickWords(verb, words);
  if (action === undefined || found === undefined) return false;
  void reporting(async () => {
    await begin(globals, verb);
    await action(globals, found);
  });
  return true;
}
