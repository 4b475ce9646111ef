import { closeSync, constants, openSync } from "node:fs";
import { isatty } from "node:tty";
import { dup2, takeFd } from "../../native/posix/index.ts";
import { PollStream } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { TerminalMode } from "../../protocol/terminal.ts";
import type { ClientStdio, CreateParams } from "../control/protocol.ts";
import type { Container } from "../guest/container.ts";
import { openConsole } from "../guest/stdio/console.ts";
import { openInput, openOutput, type ProcessIo } from "../guest/stdio/pump.ts";
import { log } from "../text/log.ts";

/** The standard streams of a client, copied from its process; with a terminal there is no separate stderr. */
export function clientIo({ pid, stdin, stdout, stderr }: ClientStdio, terminal: boolean): ProcessIo {
  const taken: number[] = [];
  const take = (fd: number): number => {
    const own = takeFd(pid, fd);
    taken.push(own);
    return own;
  };
  try {
    const input = take(stdin);
    const output = take(stdout);
    const errors = terminal ? undefined : take(stderr);
    const held = terminal && isatty(input);
    const opened = openInput(input);
    return {
      stdin: opened,
      stdout: openOutput(output),
      stderr: errors === undefined ? undefined : openOutput(errors),
      terminal: held && opened instanceof PollStream ? opened : undefined,
    };
  } catch (cause) {
    for (const fd of taken) closeSync(fd);
    throw new CaissonError("CAISSON_E_HOST", `the standard streams of process ${pid} cannot be taken over`, { cause });
  }
}

/** Closes the streams of a process that did not come to be. */
export function closeIo(io: ProcessIo | undefined): void {
  for (const stream of [io?.stdin, io?.stdout, io?.stderr]) stream?.destroy();
}

/** The streams of a container's init, and what keeps its terminal's size in step once the container exists. */
export interface InitIo {
  io: ProcessIo;
  window: TerminalMode | undefined;
  follow: (container: Container) => void;
  /** For a daemon that its caller has left: of those streams nothing is open here for longer than they are used. */
  letGo: () => void;
}

/**
 * Opens the streams a container was created with: this process's own standard streams, which it inherited for the purpose,
 * or a new pseudo-terminal whose master goes to the console socket.
 */
export function openInitIo({ consoleSocket, ownTerminal }: CreateParams, terminal: boolean): InitIo {
  if (consoleSocket === undefined) {
    // Copies: 0, 1 and 2 stay taken, so that no later file lands on them.
    const io = clientIo({ pid: process.pid, stdin: 0, stdout: 1, stderr: 2 }, terminal);
    return { io, window: ownTerminal, follow: () => {}, letGo: () => letGo(io) };
  }
  const { stream, size } = openConsole(consoleSocket);
  const follow = (container: Container) => {
    const resize = () => container.resize(size()).catch((error: Error) => log.warning(error.message));
    process.on("SIGWINCH", resize);
    container.init.exit.then(() => process.off("SIGWINCH", resize));
  };
  return {
    io: { stdin: stream, stdout: stream, stderr: undefined, terminal: stream },
    window: size(),
    follow,
    letGo: () => {},
  };
}

/** What our caller reads ends with the container's stream then, as if the container had it alone. */
function letGo({ stdin, stdout, stderr }: ProcessIo): void {
  for (const [fd, stream] of [stdin, stdout, stderr].entries()) {
    if (stream === undefined || stream.destroyed) dropStandardStreams(fd);
    else stream.once("close", () => dropStandardStreams(fd));
  }
}

/** Puts the null device in the place of standard streams of this process. */
export function dropStandardStreams(...fds: number[]): void {
  const nothing = openSync("/dev/null", constants.O_RDWR);
  try {
    for (const fd of fds) dup2(nothing, fd);
  } finally {
    closeSync(nothing);
  }
}
