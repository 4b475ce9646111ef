/** What `create` and `run` have in common. */
import { resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { type Daemon, spawnDaemon } from "../control/spawn.ts";
import { now } from "../process/clock.ts";
import { tracePhase } from "../process/trace.ts";
import { removeIfOf } from "../sandbox/cleanup.ts";
import { log } from "../text/log.ts";
import { announcePid, refusePreservedFds } from "./caller.ts";
import { type Globals, verb } from "./command.ts";
import { refuse } from "./refuse.ts";
import type { OwnTerminal } from "./terminal.ts";

export interface LaunchFlags {
  bundle: string;
  consoleSocket?: string;
  pidFile?: string;
  pidfdSocket?: string;
  pivot: boolean;
  newKeyring: boolean;
  preserveFds: string;
}

/** How long a daemon may take to clean up after a failure before it is killed. */
const CLEAN_UP_LIMIT_MS = 15_000;

/** The verb with the flags that both have. */
export function launchVerb(name: string, description: string): Command {
  return verb(name, description)
    .argument("<container-id>", "a name that no other container under --root has")
    .option("-b, --bundle <directory>", "the bundle: a directory with config.json", ".")
    .option("--console-socket <path>", "Unix socket that is sent the terminal's master")
    .option("--pid-file <file>", "write the container's pid here")
    .option("--pidfd-socket <path>", "Unix socket that is sent a pidfd of that process")
    .option("--no-pivot", "changes nothing: inside the VM the root file system is never a ramdisk")
    .option("--no-new-keyring", "changes nothing: the caller's keys cannot be reached from inside a VM")
    .option("--preserve-fds <n>", "only 0: a file descriptor cannot cross into a VM", "0");
}

/**
 * Says what flags of runc's have no meaning for a VM: engines give them when their configuration says so for the host's sake.
 * @throws CaissonError CAISSON_E_USAGE for one that cannot be honoured.
 */
export function checkFlags({ pivot, newKeyring, preserveFds }: LaunchFlags): void {
  if (!pivot) {
    log.warning(
      "--no-pivot changes nothing: inside the VM the root file system is never a ramdisk, so pivot_root(2) works",
    );
  }
  if (!newKeyring) {
    log.warning("--no-new-keyring changes nothing: the container has a session keyring of its own, in the VM's kernel");
  }
  refusePreservedFds(preserveFds);
  const { LISTEN_FDS: count, LISTEN_PID: pid } = process.env;
  // runc's container would get these descriptors (sd_listen_fds(3)).
  if (Number(count) > 0 && Number(pid) === process.pid) {
    refuse(`LISTEN_FDS=${count}`, "a file descriptor cannot cross into a VM");
  }
}

/**
 * Starts a daemon and has it create the container; what it made is removed again when this throws.
 * @throws CaissonError as the daemon reports it; the signal's reason.
 */
export async function createContainer(
  globals: Globals,
  id: string,
  flags: LaunchFlags,
  { name, terminal, signal }: { name: "create" | "run"; terminal?: OwnTerminal | undefined; signal?: AbortSignal },
): Promise<Daemon> {
  signal?.throwIfAborted();
  const start = now();
  const daemon = spawnDaemon(globals, flags.consoleSocket === undefined ? "inherit" : "ignore", globals.daemon);
  const leave = () => daemon.client.close();
  signal?.addEventListener("abort", leave);
  try {
    const { pid } = await daemon.client.request("create", {
      root: globals.root,
      id,
      bundle: resolve(flags.bundle),
      consoleSocket: flags.consoleSocket === undefined ? undefined : resolve(flags.consoleSocket),
      ownTerminal: terminal?.mode,
      config: globals.config,
      asked: { name: `caisson ${name}`, atMs: Date.now() - now() },
      systemdCgroup: globals.systemdCgroup,
    });
    await announcePid(flags, pid);
    tracePhase("create", start);
    return daemon;
  } catch (error) {
    await discard(globals, id, daemon);
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", leave);
  }
}

/** Ends a daemon of ours, and the container with it: leaving it alone is its signal to clean up. Removes what stays. */
export async function discard({ root }: Globals, id: string, daemon: Daemon): Promise<void> {
  daemon.client.close();
  const limit = new AbortController();
  const late = setTimeout(CLEAN_UP_LIMIT_MS, undefined, { signal: limit.signal }).then(
    () => process.kill(daemon.pid, "SIGKILL"),
    () => {},
  );
  await daemon.exited.catch(() => {});
  limit.abort();
  await late;
  await removeIfOf(daemon.identity, root, id);
}
