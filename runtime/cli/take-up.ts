import { CaissonError } from "../../protocol/errors.ts";
import type { EarlyDaemon } from "../control/early-daemon.ts";
import { launchWords } from "../control/launch-words.ts";
import { plainCommand } from "../control/plain-command.ts";
import { adoptDaemon } from "../control/spawn.ts";
import { exitCodeOf } from "../text/errors.ts";
import { readAnswer } from "./answer.ts";
import { followRun } from "./follow-run.ts";
import { Foreground } from "./foreground.ts";
import { discard } from "./launch.ts";
import { begin } from "./reporting.ts";

/**
 * Goes on with a container that native/launch has had launched: one that could not be created or started is ended and told of,
 * one that runs, or has run, is followed to its end.
 */
export async function takeUp(line: string, args: readonly string[], early: EarlyDaemon | undefined): Promise<void> {
  const command = plainCommand(args);
  const words = command === undefined ? undefined : launchWords(command.verb, command.words);
  if (early === undefined || command === undefined || words === undefined) {
    throw new CaissonError("CAISSON_E_INTERNAL", "the answer is to no plain command");
  }
  const { globals, verb } = command;
  await begin(globals, verb);
  const daemon = adoptDaemon(early);
  try {
    readAnswer(line);
  } catch (error) {
    await discard(globals, words.id, daemon);
    if (verb === "run") process.exitCode ??= exitCodeOf(error);
    throw error;
  }
  using foreground = new Foreground();
  process.exitCode = await followRun(globals, words.id, daemon, foreground);
}
