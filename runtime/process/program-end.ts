import { type ProcessEnd, reapIfEnded } from "../../native/posix/index.ts";

/** What looks whether a program has ended; one of them for each that is waited for. */
const looks = new Set<() => void>();

/**
 * Resolves with how a child of spawnProgram() has ended, which is reaped then; until that its pid is no other's. Does not keep this
 * process from ending. Rejects with the system's error if it is no child, or another part of this process has waited for it.
 */
export function programEnd(pid: number): Promise<ProcessEnd> {
  const { promise, resolve, reject } = Promise.withResolvers<ProcessEnd>();
  const look = () => {
    try {
      const end = reapIfEnded(pid);
      if (end === undefined) return;
      resolve(end);
    } catch (error) {
      reject(error);
    }
    looks.delete(look);
    if (looks.size === 0) process.off("SIGCHLD", lookAtAll);
  };
  if (looks.size === 0) process.on("SIGCHLD", lookAtAll);
  looks.add(look);
  // It may have ended before anybody listened.
  look();
  return promise;
}

function lookAtAll(): void {
  for (const look of looks) look();
}
