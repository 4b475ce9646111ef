import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { type ProcessEnd, type ProgramOptions, pipe, spawnProgram } from "../../native/posix/index.ts";
import { programEnd } from "./program-end.ts";

/** What a timer can count. */
const LONGEST_MS = 2 ** 31 - 1;

/** A program that runs as a child of this process, and its standard streams. */
export interface PipedProgram {
  stdin: Socket;
  /** Closes once nobody has it open any more, which may be those that the program has left behind. */
  stdout: Socket;
  stderr: Socket;
  /** This process does not end before. */
  ended: Promise<ProcessEnd>;
  /** Kills it if it still runs. */
  kill(): void;
}

/** Starts a program as spawnProgram() does. @throws the system's error when it cannot be run. */
export function startPiped(words: readonly string[], options: ProgramOptions): PipedProgram {
  using theirs = new DisposableStack();
  using ours = new DisposableStack();
  const [input, stdin] = pipe();
  theirs.adopt(input, closeSync);
  ours.adopt(stdin, closeSync);
  const outputs = [pipe(), pipe()].map(([read, write]) => ({
    read: ours.adopt(read, closeSync),
    write: theirs.adopt(write, closeSync),
  }));
  const pid = spawnProgram(words, [input, ...outputs.map(({ write }) => write)], options);
  ours.move();
  const [stdout, stderr] = outputs.map(({ read }) => new Socket({ fd: read, readable: true, writable: false }));
  let hasEnded = false;
  // Its streams may have closed, and nothing else keep this process from ending, when it has not been reaped yet.
  const waiting = setInterval(() => {}, LONGEST_MS);
  const ended = programEnd(pid).finally(() => {
    hasEnded = true;
    clearInterval(waiting);
  });
  return {
    stdin: new Socket({ fd: stdin, readable: false, writable: true }),
    stdout: stdout as Socket,
    stderr: stderr as Socket,
    ended,
    kill: () => {
      if (!hasEnded) process.kill(pid, "SIGKILL");
    },
  };
}
