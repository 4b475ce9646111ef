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

/** Where a program is started. Descriptors of what it enters, and none for what it shares with this process. */
export interface Place {
  namespaces: readonly number[];
  /** The root directory, by which paths are looked up. */
  root?: number;
}

/** Of a program that is started. */
export interface ProgramOptions {
  /** All that it has, as NAME=VALUE; nothing when left out. */
  environment?: readonly string[];
  /** Its absolute path, where its first argument is another word. */
  path?: string;
  /** Its working directory, "/" when left out, or when there is none of that name. */
  directory?: string;
  /** Where it looks up the paths above, and runs. This process stays where it is, for whoever looks at its /proc/PID/ns. */
  place?: Place;
}

/**
 * Runs a program as a child of this process, in a session of its own. node:child_process takes 8 ms to load, and copies all our page
 * tables.
 * @param words its absolute path, and its arguments. @param fds what it has as its descriptors 0, 1, ...; it has no others.
 * @returns its pid, for reap(). @throws the system's error when it cannot be run.
 */
export function spawnProgram(
  words: readonly string[],
  fds: readonly number[],
  {
    environment = [],
    path = words[0] ?? "",
    directory = "/",
    place: { namespaces, root = -1 } = HERE,
  }: ProgramOptions = {},
): number {
  const strings = (list: readonly string[]) => Buffer.from(list.map((word) => `${word}\0`).join(""));
  const integers = (list: readonly number[]) => new Uint8Array(Int32Array.from(list).buffer);
  return addon.spawnProgram(
    strings([path, ...words]),
    integers(fds),
    strings(environment),
    directory,
    integers(namespaces),
    root,
  );
}

const HERE: Place = { namespaces: [] };

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
