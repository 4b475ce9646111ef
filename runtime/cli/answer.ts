/** What native/launch was answered and cannot carry out or tell itself: the command line's own process goes on from there. */
import { CaissonError, fromWireError } from "../../protocol/errors.ts";
import { parseJson } from "../../protocol/json.ts";
import { daemonLeft } from "../control/gone.ts";
import type { CommandOutcome, ExitStatus, Response } from "../control/protocol.ts";
import { signalName } from "../process/signal-number.ts";
import { interruptedBy } from "./foreground.ts";

/** A signal has come before there was an answer. */
interface Interruption {
  interrupted: number;
}

/**
 * A daemon's answer.
 * @param line empty where the daemon has gone without one.
 * @throws CaissonError the daemon's; that the daemon has gone; that a signal came first, which sets this process's exit code.
 */
export function readAnswer(line: string): Exclude<CommandOutcome, { error: unknown }> | ExitStatus {
  if (line === "") throw daemonLeft();
  const answer = parseJson(line) as Response | Interruption;
  if ("interrupted" in answer) {
    throw interruptedBy(answer.interrupted, signalName(answer.interrupted));
  }
  if ("error" in answer) throw fromWireError(answer.error);
  const result = answer.result as CommandOutcome | ExitStatus;
  if ("error" in result) throw fromWireError(result.error);
  if ("started" in result || "exitCode" in result) return result;
  throw new CaissonError("CAISSON_E_INTERNAL", `the daemon's answer is of no kind known: ${line}`);
}
