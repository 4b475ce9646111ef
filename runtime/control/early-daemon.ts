/**
 * A sandbox daemon that is started before the command line is loaded: one starts while the other does, and a container's start waits
 * for both.
 */
import { type OwnProcess, spawnSelf } from "../process/spawn-self.ts";
import { type DaemonLog, logOf } from "./daemon-log.ts";
import type { PlainCommand } from "./plain-command.ts";

/** A daemon that nobody has asked for anything, and how it logs. It is ended with this process unless it is taken. */
export interface EarlyDaemon {
  process: OwnProcess;
  log: DaemonLog;
  /** Whoever calls this has it from now on. */
  take(): void;
}

const LAUNCHING = ["create", "run"];
/** A daemon whose container's terminal goes elsewhere has none of our streams; and help starts nothing. */
const NOT_EARLY = /^(--console-socket(=.*)?|--help|-h)$/;

/** Starts one for a plain command line that creates a container. */
export function startEarly(command: PlainCommand | undefined): EarlyDaemon | undefined {
  const log = command === undefined ? undefined : launchLog(command);
  if (log === undefined) return undefined;
  try {
    const daemon = spawnSelf("sandbox-daemon", log, "inherit");
    const end = () => daemon.kill();
    process.once("exit", end);
    for (const each of [daemon, daemon.connection]) each.unref();
    const take = () => {
      process.off("exit", end);
      for (const each of [daemon, daemon.connection]) each.ref();
    };
    return { process: daemon, log, take };
  } catch {
    // The command line tries again, and says why it cannot be.
    return undefined;
  }
}

/** How the daemon logs that this command starts with our streams; undefined when there is none. */
export function launchLog({ globals, verb, words }: PlainCommand): DaemonLog | undefined {
  if (!LAUNCHING.includes(verb) || words.some((word) => NOT_EARLY.test(word))) return undefined;
  // The command line begins the file of a trace anew, and a daemon would have written to it.
  return globals.trace === undefined ? logOf(globals) : undefined;
}
