/** `--pidfd-socket`, which runc has since 1.2: a caller is sent a pidfd, which unlike a pid never means another process. */
import { closeSync } from "node:fs";
import { connectUnix, pidfdOpen, sendFds } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { socketAddress } from "../state/socket-address.ts";
import { systemErrorSentence } from "../text/errors.ts";

/**
 * Sends a pidfd of the process that stands for the container's on the host to whoever listens at the socket.
 * @param path absolute. @throws CaissonError CAISSON_E_HOST when nobody takes it.
 */
export function sendPidfd(path: string, pid: number): void {
  try {
    using address = socketAddress(path);
    const connection = connectUnix(address.path);
    try {
      const pidfd = pidfdOpen(pid);
      try {
        sendFds(connection, [pidfd], Buffer.from("pidfd"));
      } finally {
        closeSync(pidfd);
      }
    } finally {
      closeSync(connection);
    }
  } catch (cause) {
    throw new CaissonError("CAISSON_E_HOST", systemErrorSentence(`send a pidfd to the socket ${path}`, cause), {
      cause,
    });
  }
}
