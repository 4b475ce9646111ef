import { CaissonError } from "../../protocol/errors.ts";
import { spawnSelf } from "../process/spawn-self.ts";
import { type ProcessIdentity, processIdentity } from "../state/process-identity.ts";
import { log as logger } from "../text/log.ts";
import { ControlClient } from "./client.ts";

/** How the daemon logs; the CLI's own flags, handed on. */
export interface DaemonLog {
  log?: string | undefined;
  logFormat: "text" | "json";
  debug: boolean;
  /** Chrome trace-event file that both append to. */
  trace?: string | undefined;
}

export interface Daemon {
  pid: number;
  /** Undefined when it could not be started, or has ended at once. */
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
 * @throws CaissonError CAISSON_E_HOST when it cannot be started.
 */
export function spawnDaemon(log: DaemonLog, stdio: "inherit" | "ignore"): Daemon {
  const { child, connection } = spawnSelf("sandbox-daemon", log, stdio);
  logger.debug("started the sandbox daemon", { pid: child.pid ?? 0 });
  const { promise: exited, resolve, reject } = Promise.withResolvers<number>();
  child.once("exit", (code, signal) => {
    if (code !== null) resolve(code);
    else reject(new CaissonError("CAISSON_E_VM_DIED", `${signal} has ended the sandbox daemon, and the VM with it`));
  });
  child.once("error", (cause) =>
    reject(new CaissonError("CAISSON_E_HOST", "the sandbox daemon could not be started", { cause })),
  );
  exited.catch(() => {});
  return {
    pid: child.pid ?? 0,
    identity: child.pid === undefined ? undefined : processIdentity(child.pid),
    client: new ControlClient(connection),
    exited,
    unref: () => child.unref(),
  };
}
