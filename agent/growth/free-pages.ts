import { execFile } from "node:child_process";
import { log } from "../log.ts";

/** What lives shorter than this gives its memory back by ending. */
const PAUSE_MS = 10_000;
/** Less than this is not worth the work, which an emulated guest pays for with some 20 MiB of its emulator's memory. */
const WORTH_BYTES = 128 * 1024 * 1024;

/**
 * Tells the host which memory is free, so that it has it back: the driver of the balloon device does, once it is loaded
 * (Documentation/mm/free_page_reporting.rst). It goes through all memory at first, which is no work for a start, nor for a guest that uses little.
 */
export class FreePages {
  readonly #mostUsed: () => number;
  readonly #load: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isLoaded = false;

  /** @param mostUsed the most that containers have used at a time, bytes. */
  constructor(mostUsed: () => number, load = loadDriver) {
    this.#mostUsed = mostUsed;
    this.#load = load;
  }

  /** Begins once there is something to give back. */
  report(): void {
    if (this.#isLoaded || this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#look(), PAUSE_MS).unref();
  }

  /** Does not begin, if it has not yet: a template's guest is a clone's to report. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    if (this.#mostUsed() < WORTH_BYTES) return;
    this.stop();
    this.#isLoaded = true;
    this.#load();
  }
}

function loadDriver(): void {
  execFile("/usr/sbin/modprobe", ["virtio_balloon"], (error) => {
    if (error !== null) log("warning", `free memory is not given back to the host: ${error.message}`);
  });
}
