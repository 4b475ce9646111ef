import { CaissonError } from "../../protocol/errors.ts";
import { execWords } from "../control/exec-words.ts";
import { plainCommand } from "../control/plain-command.ts";
import { quickWords } from "../control/quick-words.ts";
import { tellLoss } from "../daemon/loss.ts";
import type { Action } from "../guest/lifecycle.ts";
import { explainEnd } from "./actions/daemon.ts";
import { readAnswer } from "./answer.ts";
import { FAILURE } from "./exec-action.ts";
import { begin, reporting } from "./reporting.ts";

/** Tells and logs how a command that a container's daemon was asked for has ended, and sets this process's exit code. */
export function tellAnswer(line: string, args: readonly string[]): void {
  void reporting(async () => {
    const command = plainCommand(args);
    if (command === undefined) throw new CaissonError("CAISSON_E_INTERNAL", "the answer is to no plain command");
    const { globals, verb, words } = command;
    await begin(globals, verb);
    try {
      const answer = readAnswer(line);
      if (!("exitCode" in answer)) throw new CaissonError("CAISSON_E_INTERNAL", `there is nothing to tell of ${line}`);
      if (answer.reason !== undefined) tellLoss(answer.reason);
      process.exitCode = answer.exitCode;
    } catch (error) {
      if (verb === "exec") process.exitCode ??= FAILURE;
      const id = (verb === "exec" ? execWords(words) : quickWords(verb, words))?.id ?? "";
      explainEnd(error, globals.root, id, verb as Action);
      throw error;
    }
  });
}
