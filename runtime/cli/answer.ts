import { CaissonError, fromWireError } from "../../protocol/errors.ts";
import { parseJson } from "../../protocol/json.ts";
import { execWords } from "../control/exec-words.ts";
import { daemonLeft } from "../control/gone.ts";
import { plainCommand } from "../control/plain-command.ts";
import type { CommandOutcome, ExitStatus, Response } from "../control/protocol.ts";
import { quickWords } from "../control/quick-words.ts";
import { tellLoss } from "../daemon/loss.ts";
import type { Action } from "../guest/lifecycle.ts";
import { explainEnd } from "./actions/daemon.ts";
import { FAILURE } from "./exec-action.ts";
import { begin, reporting } from "./reporting.ts";

/**
 * Tells and logs what a daemon has answered native/launch that this cannot tell itself, and sets this process's exit code.
 * @param line the answer; empty where the daemon has gone without one. @param args the command line.
 */
export function tellAnswer(line: string, args: readonly string[]): void {
  void reporting(async () => {
    const command = plainCommand(args);
    if (command === undefined) throw new CaissonError("CAISSON_E_INTERNAL", "the answer is to no plain command");
    const { globals, verb, words } = command;
    await begin(globals, verb);
    try {
      process.exitCode = exitCodeIn(line);
    } catch (error) {
      if (verb === "exec") process.exitCode = FAILURE;
      const id = (verb === "exec" ? execWords(words) : quickWords(verb, words))?.id ?? "";
      explainEnd(error, globals.root, id, verb as Action);
      throw error;
    }
  });
}

/** The exit code of an exec's process, of which there is more to tell. @throws CaissonError the daemon's. */
function exitCodeIn(line: string): number {
  if (line === "") throw daemonLeft();
  const response = parseJson(line) as Response;
  if ("error" in response) throw fromWireError(response.error);
  const result = response.result as CommandOutcome | ExitStatus;
  if ("error" in result) throw fromWireError(result.error);
  if (!("exitCode" in result)) throw new CaissonError("CAISSON_E_INTERNAL", `the answer is of no kind known: ${line}`);
  if (result.reason !== undefined) tellLoss(result.reason);
  return result.exitCode;
}
