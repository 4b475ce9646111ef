import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { QemuChild, QemuEnd } from "./spawn.ts";

const LINE_LIMIT = 64;
/** The program in between ends at once when it has told how QEMU did, but nobody waits for it: it may not be our child. */
const GONE_LIMIT_MS = 200;
const GONE_POLL_MS = 2;

/** What it takes to go on with a QEMU that somebody else has started. */
export interface LeashHandles {
  /** Our end of the leash, and of QEMU's standard error. */
  leash: number;
  stderr: number;
  /** Of the program in between. */
  leashPid: number;
}

/** A QEMU that lives for as long as its leash is held: by this process, or by whoever takes the descriptors over. */
export class LeashedQemu implements QemuChild {
  readonly stderr: Socket;
  readonly ended: Promise<QemuEnd>;
  /** Resolves when QEMU's pid is known, or when there is none to come. */
  readonly started: Promise<void>;
  readonly #leash: Socket;
  #pid: number;
  #end: QemuEnd = { problem: "the program that holds QEMU (leash) has ended" };

  /** Takes the descriptors over. @param pid QEMU's, where it is known already. */
  constructor({ leash, stderr, leashPid }: LeashHandles, pid = 0) {
    this.#pid = pid;
    this.stderr = new Socket({ fd: stderr, readable: true, writable: false });
    this.#leash = new Socket({ fd: leash, readable: true, writable: true, allowHalfOpen: true });
    for (const event of ["end", "error"]) this.#leash.on(event, () => this.#leash.destroy());
    const started = Promise.withResolvers<void>();
    this.started = started.promise;
    let line = "";
    this.#leash.on("data", (chunk: Buffer) => {
      const lines = `${line}${chunk.toString("latin1")}`.split("\n");
      line = (lines.pop() ?? "").slice(0, LINE_LIMIT);
      for (const each of lines) this.#take(each);
      started.resolve();
    });
    this.ended = new Promise<void>((resolve) => this.#leash.once("close", () => resolve())).then(async () => {
      started.resolve();
      await gone(leashPid);
      return this.#end;
    });
  }

  get pid(): number {
    return this.#pid;
  }

  kill(): void {
    this.#leash.resume().end();
  }

  /** Stops reading: whoever has copies of the descriptors goes on. */
  pause(): void {
    this.#leash.pause();
    this.stderr.pause();
  }

  #take(line: string): void {
    const [word, text] = line.split(" ");
    const number = Number(text);
    if (word === "pid") this.#pid = number;
    else if (word === "exit") this.#end = { exitCode: number };
    else if (word === "signal") this.#end = { signal: signalName(number) };
  }
}

function signalName(number: number): string {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? `signal ${number}`;
}

async function gone(pid: number): Promise<void> {
  for (const end = performance.now() + GONE_LIMIT_MS; performance.now() < end; await sleep(GONE_POLL_MS)) {
    try {
      // A zombie is gone but for its parent.
      if (/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))) return;
    } catch {
      return;
    }
  }
}
