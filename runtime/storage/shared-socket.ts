/** Sockets of the host that a container has as bind mounts: the guest listens in their places (agent/host-sockets.ts). */
import { closeSync, openSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Credentials, connectUnixAs } from "../../native/posix/index.ts";

/** open(2); node:fs does not have it. */
const O_PATH = 0o10000000;
/** A listener that is busy takes no more for a while (EAGAIN); whoever connects on the host waits as long as it likes. */
const BUSY_LIMIT_MS = 10_000;
const BUSY_POLL_MS = 20;

/** A socket of the host. It stays the same socket whatever comes to its name later, as a bind mount on the host does. */
export class SharedSocket {
  /** The field of the configuration, and the path on the host. */
  readonly field: string;
  readonly name: string;
  /** Where the guest listens. */
  readonly guestPath: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  #fd: number;

  /** @param path where this process sees it. @throws the system's error. */
  constructor(path: string, { field, name, guestPath }: Pick<SharedSocket, "field" | "name" | "guestPath">) {
    this.field = field;
    this.name = name;
    this.guestPath = guestPath;
    ({ mode: this.mode, uid: this.uid, gid: this.gid } = statSync(path));
    this.#fd = openSync(path, O_PATH);
  }

  /**
   * Connects to whoever listens, as somebody else: who may, the host's kernel decides as it would for a process of his.
   * @returns a descriptor, non-blocking. @throws the system's error: ECONNREFUSED when nobody listens, EACCES.
   */
  async connect(who: Credentials, signal: AbortSignal): Promise<number> {
    for (let waitedMs = 0; ; waitedMs += BUSY_POLL_MS) {
      try {
        return connectUnixAs(`/proc/self/fd/${this.#fd}`, who);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || waitedMs >= BUSY_LIMIT_MS) throw error;
      }
      await sleep(BUSY_POLL_MS, undefined, { signal });
    }
  }

  /** May be called again. */
  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
