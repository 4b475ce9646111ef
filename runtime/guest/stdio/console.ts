import { closeSync } from "node:fs";
import {
  connectUnix,
  getWinsize,
  makeRaw,
  openpty,
  sendFds,
  setControllingTerminal,
  type Winsize,
} from "../../../native/posix/index.ts";
import { PollStream } from "../../../native/vsock/index.ts";
import { CaissonError } from "../../../protocol/errors.ts";

/** A pseudo-terminal whose master another process holds and whose slave end we copy to and from the guest's. */
export interface Console {
  stream: PollStream;
  /** The size its holder has set; 0 x 0 before. */
  size(): Winsize;
}

/** The terminal of `openConsoleTerminal` as a stream. */
export function openConsole(consoleSocket: string): Console {
  const slave = openConsoleTerminal(consoleSocket);
  return { stream: new PollStream({ fd: slave }), size: () => getWinsize(slave) };
}

/**
 * Opens a pseudo-terminal and sends its master over the Unix socket that `--console-socket` named (runc's terminals.md,
 * "detached terminal"). The slave, in raw mode, is returned and made this process's controlling terminal, so that the
 * holder's window changes arrive as SIGWINCH.
 * @throws CaissonError CAISSON_E_HOST when nobody listens on the socket.
 */
export function openConsoleTerminal(consoleSocket: string): number {
  const { master, slave } = openpty();
  try {
    makeRaw(slave);
    const socket = connectUnix(consoleSocket);
    try {
      sendFds(socket, [master], Buffer.from("/dev/ptmx"));
    } finally {
      closeSync(socket);
    }
    setControllingTerminal(slave);
  } catch (cause) {
    closeSync(slave);
    throw new CaissonError("CAISSON_E_HOST", `the console socket ${consoleSocket} did not take the terminal`, {
      cause,
      remedy: "Start the receiver before the container and name its socket with --console-socket.",
    });
  } finally {
    closeSync(master);
  }
  return slave;
}
