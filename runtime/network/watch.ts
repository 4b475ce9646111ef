import { closeSync, readSync } from "node:fs";
import { netlinkWatch } from "../../native/posix/index.ts";
import { watch } from "../../native/vsock/poller.ts";

/** Links, addresses, routes and rules of both families (linux/rtnetlink.h, RTMGRP_*). */
const GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000;
const BUFFER_BYTES = 64 * 1024;
/** Reads in a row: what comes faster is read in the next turn. */
const READS_A_TURN = 64;
/** Engines make an interface by several requests, one after the other. */
const SETTLES_MS = 100;

/** Watches the network namespace that the calling thread is in. */
export class NetworkWatch {
  readonly #fd: number;
  readonly #watch: { stop(): void };
  readonly #changed: () => void;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #timer: NodeJS.Timeout | undefined;
  #open = true;

  /** @param changed called a moment after something has changed, and again after each further change. */
  constructor(changed: () => void) {
    this.#changed = changed;
    this.#fd = netlinkWatch(GROUPS);
    const polled = watch(this.#fd, () => this.#read());
    polled.setReferenced(false);
    this.#watch = polled;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#timer);
    this.#watch.stop();
    closeSync(this.#fd);
  }

  /** What they say is not looked at: whoever is told reads the namespace, and a message that was lost does no harm. */
  #read(): void {
    for (let reads = 0; this.#open; reads++) {
      try {
        readSync(this.#fd, this.#buffer);
      } catch (error) {
        // ENOBUFS: there were more than the socket holds.
        if ((error as NodeJS.ErrnoException).code !== "ENOBUFS") return;
      }
      this.#timer ??= setTimeout(() => this.#tell(), SETTLES_MS).unref();
      if (reads < READS_A_TURN) continue;
      setImmediate(() => this.#read());
      return;
    }
  }

  #tell(): void {
    this.#timer = undefined;
    if (this.#open) this.#changed();
  }
}
