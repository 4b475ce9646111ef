import { isDeepStrictEqual } from "node:util";
import { CaissonError } from "../../protocol/errors.ts";
import { signalName } from "../process/signal-number.ts";
import { type OwnProcess, spawnSelf } from "../process/spawn-self.ts";
import { type ProcessIdentity, processIdentity } from "../state/process-identity.ts";
import { log as logger } from "../text/log.ts";
import { ControlClient } from "./client.ts";
import { type DaemonLog, logOf } from "./daemon-log.ts";
import type { EarlyDaemon } from "./early-daemon.ts";

export interface Daemon {
  pid: number;
  /** Undefined without /proc. */
  identity: ProcessIdentity | undefined;
  client: ControlClient;
  /** Resolves with the daemon's exit code, which is the container's. Rejects with CAISSON_E_VM_DIED when a signal has ended the daemon. */
  exited: Promise<number>;
  /** Lets the calling process end before the daemon. */
  unref(): void;
}

/**
 * Starts a sandbox daemon in a session of its own, which answers control requests on its fd 3 until it serves its socket.
 * @param stdio "inherit" makes the caller's stdin, stdout and stderr the container's. A container whose terminal goes to a
 *   console socket must "ignore" them: engines read the caller's output to its end, which would be the container's.
 * @param early is taken if it is such a one.
 * @throws CaissonError CAISSON_E_HOST when it cannot be started.
 */
export function spawnDaemon(given: DaemonLog, stdio: "inherit" | "ignore", early?: EarlyDaemon): Daemon {
  const log = logOf(given);
  return daemonOf(taken(log, stdio, early) ?? spawnSelf("sandbox-daemon", log, stdio));
}

/** A daemon that has been asked for its container already. */
export function adoptDaemon(early: EarlyDaemon): Daemon {
  early.take();
  return daemonOf(early.process);
}

function daemonOf(child: OwnProcess): Daemon {
  const { pid, connection } = child;
  logger.debug("started the sandbox daemon", { pid });
  const exited = child.ended.then((end) => {
    if ("exitCode" in end) return end.exitCode;
    const sentence = `${signalName(end.signal)} has ended the sandbox daemon, and the VM with it`;
    throw new CaissonError("CAISSON_E_VM_DIED", sentence);
  });
  exited.catch(() => {});
  return {
    pid,
    // It may have ended, but until it is waited for its pid is no other's.
    identity: processIdentity(pid, { zombie: true }),
    client: new ControlClient(connection),
    exited,
    unref: () => child.unref(),
  };
}

function taken(log: DaemonLog, stdio: "inherit" | "ignore", early: EarlyDaemon | undefined): OwnProcess | undefined {
  if (early === undefined || stdio !== "inherit" || !isDeepStrictEqual(early.log, log)) return undefined;
  early.take();
  return early.process;
}
