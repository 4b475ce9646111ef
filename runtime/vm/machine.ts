import type { Duplex } from "node:stream";
import type { ExitReason } from "./exit-reason.ts";
import type { QmpClient } from "./qmp.ts";
import type { ShareServer } from "./share-server.ts";
import type { MachineType, Trace } from "./spec.ts";
import type { StreamPorts } from "./stream-ports.ts";

/** A VM that runs, or did. */
export interface Machine {
  /** The pid of QEMU, for its cgroup. */
  readonly pid: number;
  /** The pids of all processes that the VM consists of. */
  pids(): number[];
  readonly machine: MachineType;
  /** The one connection to the agent. The guest may not have answered on it yet. */
  readonly agent: Duplex;
  readonly qmp: QmpClient;
  /** The ports that it has for standard streams; closed when it dies. */
  readonly streamPorts: StreamPorts;
  /** Resolves, never rejects, when the VM is gone, whatever ended it. */
  readonly died: Promise<ExitReason>;
  /** The last printable lines of the guest's console. */
  lastConsoleLines(): string[];
  /** Why the guest waits for its shared directory, as the end of a sentence; undefined when it does not, or not for long. */
  readonly shareWarning: string | undefined;
  /** Ends a VM that is of no use any more; `why` ends the sentence "the VM was given up: ...". Does not wait for it. */
  giveUp(why: string): void;
  /**
   * Gives a VM that runs without one a shared directory. The server is the machine's from now on: it ends with the VM, and the VM with it.
   * @throws QmpError when QEMU refuses, or the signal's reason.
   */
  addShare(server: ShareServer, signal: AbortSignal): Promise<void>;
  /** Takes the shared directory, which the guest has let go, from the VM again, and ends its server. Throws as addShare(). */
  removeShare(signal: AbortSignal): Promise<void>;
  /** Ends the VM at once if it still runs, releases all it held, and waits for that. May be called again. */
  kill(): Promise<void>;
}

/** The saved VM that a clone continues; the descriptors stay the caller's, who may close them once the clone runs. */
export interface CloneSource {
  /** Guest RAM. */
  memoryFd: number;
  /** QEMU's device state: a migration stream. */
  stateFd: number;
  /** The root image the guest was saved with: another one under its page cache would be corruption. */
  imageFd: number;
}

export interface StartOptions {
  signal: AbortSignal;
  /** Continues this saved VM in place of booting. */
  clone?: CloneSource | undefined;
  /** Keeps guest RAM in this file, shared, so that the VM can be saved as a template. */
  templateMemoryFd?: number | undefined;
  /** Starts what serves the VM's shared directory, anew for each attempt; without it the VM has none yet. Throws what it throws. */
  startShareServer?: (() => ShareServer) | undefined;
  trace?: Trace | undefined;
}
