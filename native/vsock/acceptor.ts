import { closeSync } from "node:fs";
import { addon } from "./addon.ts";
import { type Watch, watch } from "./poller.ts";

const { EAGAIN, ECONNABORTED } = addon.constants;

/** How long to leave waiting connections alone after an error such as EMFILE: no edge tells when it is over. */
const RETRY_MS = 100;

/** Takes the connections of a listening socket, AF_UNIX's as well as AF_VSOCK's, as they come. Owns the socket. */
export class Acceptor {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #onConnection: (fd: number) => void;
  readonly #onError: (error: Error) => void;
  #retry: NodeJS.Timeout | undefined;
  #isHeld = false;
  #isClosed = false;

  /**
   * @param onConnection called with each connection's descriptor, non-blocking, which is its own from then on.
   * @throws the system's error when the socket cannot be watched; it is closed then.
   */
  constructor(fd: number, onConnection: (fd: number) => void, onError: (error: Error) => void) {
    this.#fd = fd;
    this.#onConnection = onConnection;
    this.#onError = onError;
    try {
      // Non-blocking: accept(2) must not wait for the next one.
      addon.open(fd);
      this.#watch = watch(fd, () => this.#accept());
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** While it is held, connections wait in the kernel's queue, and those who connect wait when that is full. */
  set held(isHeld: boolean) {
    const goesOn = this.#isHeld && !isHeld;
    this.#isHeld = isHeld;
    // Not from within whatever has made room.
    if (goesOn) setImmediate(() => this.#accept());
  }

  /** Lets the process exit although the socket listens. */
  unref(): void {
    this.#watch.setReferenced(false);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#watch.stop();
    closeSync(this.#fd);
  }

  #accept(): void {
    while (!this.#isClosed && !this.#isHeld) {
      const fd = addon.accept(this.#fd);
      if (fd === -EAGAIN) return;
      if (fd === -ECONNABORTED) continue;
      if (fd < 0) {
        clearTimeout(this.#retry);
        this.#retry = setTimeout(() => this.#accept(), RETRY_MS);
        this.#onError(addon.error(-fd, "accept"));
        return;
      }
      this.#onConnection(fd);
    }
  }
}
