import { closeSync } from "node:fs";
import type { Readable } from "node:stream";
import { execa } from "execa";
import { builtFile } from "../../native/addon.ts";
import { socketpair } from "../../native/posix/index.ts";

/** The descriptors a child inherits: each is added under the number that the child will know it by. */
export class Inheritance {
  readonly #descriptors: number[] = [];
  readonly #owned: number[] = [];

  /** Passes a descriptor that stays the caller's; returns the child's number of it. */
  lend(fd: number): number {
    this.#descriptors.push(fd);
    return FIRST_INHERITED + this.#descriptors.length - 1;
  }

  /** Passes a descriptor that is closed here once the child has it. */
  give(fd: number): number {
    this.#owned.push(fd);
    return this.lend(fd);
  }

  /** A stream socket between the child and us: its number there, and our end, which the caller closes. */
  connect(): { child: number; ours: number } {
    const [ours, theirs] = socketpair();
    return { child: this.give(theirs), ours };
  }

  get descriptors(): readonly number[] {
    return this.#descriptors;
  }

  closeGiven(): void {
    for (const fd of this.#owned.splice(0)) closeSync(fd);
  }
}

const FIRST_INHERITED = 3;

/**
 * All that QEMU, as root, needs of root's power: to act on the shared directory's files as their owners do. Opening
 * devices and namespaces has been done for it.
 */
const CAPABILITIES = ["chown", "dac_override", "fowner", "fsetid", "mknod", "setfcap"];

/** A QEMU process, whoever started it. */
export interface QemuChild {
  /** 0 when it could not be started, or has not been yet. */
  readonly pid: number;
  readonly stderr: Readable;
  /** Resolves, never rejects, when it is gone. */
  readonly ended: Promise<QemuEnd>;
  kill(): void;
}

export interface QemuEnd {
  exitCode?: number | undefined;
  signal?: string | undefined;
  /** Why it could not be started. */
  problem?: string | undefined;
}

/**
 * Starts QEMU so that it dies with us (prctl(2), PR_SET_PDEATHSIG: setpriv(1) sets it and becomes QEMU), away from our
 * terminal's signals, with an environment of nothing but PATH and a preloaded library. Its network is ours.
 */
export function spawnQemu(path: string, argv: readonly string[], descriptors: readonly number[]): QemuChild {
  const [program, ...words] = ["setpriv", "--pdeathsig", "KILL", ...confined(path, argv)] as const;
  const child = spawn(program, words, "pipe", descriptors);
  const { pid = 0 } = child;
  return {
    pid,
    stderr: child.stderr as Readable,
    ended: child.then(({ exitCode, signal, originalMessage }) => ({
      exitCode,
      signal,
      problem: pid === 0 ? originalMessage : undefined,
    })),
    kill: () => void child.kill("SIGKILL"),
  };
}

/**
 * As spawnQemu(), but QEMU lives for as long as somebody has the other end of `leash`, one of the descriptors
 * (native/leash); its standard error is a descriptor, too.
 * @returns the pid of the program in between; 0 when it could not be started.
 */
export function spawnLeashed(
  path: string,
  argv: readonly string[],
  descriptors: readonly number[],
  { leash, stderr }: { leash: number; stderr: number },
): number {
  const words = [String(leash), "setpriv", ...confined(path, argv)];
  return spawn(builtFile("leash"), words, stderr, descriptors).pid ?? 0;
}

function confined(path: string, argv: readonly string[]): string[] {
  return [
    "--no-new-privs",
    "--inh-caps=-all",
    `--bounding-set=-all,${CAPABILITIES.map((name) => `+${name}`).join(",")}`,
    "--",
    path,
    ...argv,
  ];
}

function spawn(program: string, words: readonly string[], stderr: "pipe" | number, descriptors: readonly number[]) {
  return execa(program, words, {
    // execa passes any number on; its types know those up to 9 only.
    stdio: ["ignore", "ignore", stderr as "pipe", ...(descriptors as readonly 3[])],
    // Its own session: Ctrl-C at a terminal is for the container, never for QEMU.
    detached: true,
    cleanup: false,
    buffer: false,
    reject: false,
    extendEnv: false,
    env: {
      PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
      // Else containers can make no FIFO and no Unix socket on their files (native/special-files).
      LD_PRELOAD: builtFile("special-files.so"),
    },
  });
}
