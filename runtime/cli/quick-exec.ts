/** An exec as engines and people write it, without a parser of command lines (as quick.ts). */
import { execWords } from "../control/exec-words.ts";
import type { PlainCommand } from "../control/plain-command.ts";
import { exec } from "./exec-action.ts";
import { begin, reporting } from "./reporting.ts";

export { tellAnswer } from "./tell-answer.ts";

/** Carries an exec out and sets this process's exit code. @returns false, having done nothing, when it is no such one. */
export function tryExec({ globals, verb, words }: PlainCommand): boolean {
  const found = verb === "exec" ? execWords(words) : undefined;
  if (found === undefined) return false;
  void reporting(async () => {
    await begin(globals, verb);
    await exec(globals, found.id, found.args, found.flags);
  });
  return true;
}
