/**
 * A sandbox daemon that is started together with the command line (native/launch): a container's start waits for both.
 */
import { resolve } from "node:path";
import { now } from "../process/clock.ts";
import { adoptChild, type OwnProcess } from "../process/spawn-self.ts";
import { type DaemonLog, logOf } from "./daemon-log.ts";
import { launchWords } from "./launch-words.ts";
import { type PlainCommand, plainCommand } from "./plain-command.ts";
import type { Launch } from "./protocol.ts";

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

/** What a daemon is that was started for a command line with these words; undefined when it is not for that. */
export function earlyTask(args: readonly string[]): { log: DaemonLog; launch: Launch | undefined } | undefined {
  const command = plainCommand(args);
  const log = command && launchLog(command);
  return log && { log, launch: launchOf(command) };
}

/**
 * The daemon that was started with this process.
 * @param facts its pid, and our ends of its connection and of its life's pipe. @param args the command line.
 */
export function earlyDaemon(facts: string, args: readonly string[]): EarlyDaemon | undefined {
  const [pid = 0, connection = -1, life = -1] = facts.split(",").map(Number);
  const daemon = adoptChild(pid, connection, life);
  const log = earlyTask(args)?.log;
  for (const each of [daemon, daemon.connection]) each.unref();
  const end = () => daemon.kill();
  process.once("exit", end);
  const take = () => {
    process.off("exit", end);
    for (const each of [daemon, daemon.connection]) each.ref();
  };
  // The daemon knows as well that nothing will be asked of it.
  return log === undefined ? undefined : { process: daemon, log, take };
}

/** How the daemon logs that this command starts with our streams; undefined when there is none. */
export function launchLog({ globals, verb, words }: PlainCommand): DaemonLog | undefined {
  if (!LAUNCHING.includes(verb) || words.some((word) => NOT_EARLY.test(word))) return undefined;
  // The command line begins the file of a trace anew, and a daemon would have written to it.
  return globals.trace === undefined ? logOf(globals) : undefined;
}

/** What the daemon can do itself when this command asks for it; undefined when the command line is to ask for each step. */
function launchOf({ globals, verb, words }: PlainCommand): Launch | undefined {
  const found = launchWords(verb, words);
  if (found === undefined || globals.debug) return undefined;
  const { root, config, systemdCgroup } = globals;
  const { id, bundle, pidFile, detach } = found;
  const asked = { name: `caisson ${verb}`, atMs: Date.now() - now() };
  return {
    create: { root, id, bundle: resolve(bundle), config, asked, systemdCgroup },
    pidFile: pidFile === undefined ? undefined : resolve(pidFile),
    starts: verb === "run",
    leaves: verb === "create" || detach,
  };
}
