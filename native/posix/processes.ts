/** Signals and child processes: see index.ts. */
import { addon } from "./addon.ts";

/**
 * Lets the calling thread take a signal that was blocked; what came meanwhile comes now. Node blocks SIGUSR1 when it is
 * told with --disable-sigusr1 not to start its debugger for it, and a listener alone does not unblock it.
 * @throws EINVAL when there is no such signal.
 */
export function unblockSignal(signal: number): void {
  addon.unblockSignal(signal);
}

/**
 * Runs a program as a child of this process, in a session of its own, in "/". node:child_process takes 8 ms to load, and
 * copies all our page tables.
 * @param words its absolute path, and its arguments. @param fds what it has as its descriptors 0, 1, ...; it has no others.
 * @param environment all that it has, as NAME=VALUE.
 * @returns its pid, for reap(). @throws the system's error when it cannot be run.
 */
export function spawnProgram(
  words: readonly string[],
  fds: readonly number[],
  environment: readonly string[] = [],
): number {
  const strings = (list: readonly string[]) => Buffer.from(list.map((word) => `${word}\0`).join(""));
  return addon.spawnProgram(strings(words), new Uint8Array(Int32Array.from(fds).buffer), strings(environment));
}

/** How a process has ended. */
export type ProcessEnd = { exitCode: number } | { signal: number };

/** How a child of spawnProgram() ended; waits until it has. */
export function reap(pid: number): ProcessEnd {
  return endOf(addon.reap(pid, true));
}

/** The same; undefined, at once, while it runs. */
export function reapIfEnded(pid: number): ProcessEnd | undefined {
  const status = addon.reap(pid, false);
  return status < 0 ? undefined : endOf(status);
}

/** Ends this process as _exit(2) does: nothing that waits for its end is called. */
export function exitAtOnce(code: number): never {
  return addon.exitAtOnce(code);
}

/** Gives memory that is free, and that the C library keeps, back to the system (malloc_trim(3)). */
export function trimMemory(): void {
  addon.trimMemory();
}

/**
 * A file of ASCII text between two words, without a copy of it: all processes that have it share the file's pages. The file must stay
 * as it is (one that is removed, and made anew, does).
 * @throws the system's error when it cannot be read.
 */
export function mapText(path: string, head: string, tail: string): string {
  return addon.mapText(path, head, tail);
}

function endOf(status: number): ProcessEnd {
  const signal = status & 0x7f;
  return signal === 0 ? { exitCode: (status >> 8) & 0xff } : { signal };
}
