/** Descriptors, locks and other processes' descriptors: see index.ts. */
import { addon } from "./addon.ts";

/**
 * A descriptor that refers to a process, however often its pid is used again (pidfd_open(2)).
 * @throws ESRCH when there is no such process.
 */
export function pidfdOpen(pid: number): number {
  return addon.pidfdOpen(pid);
}

/**
 * A copy of another process's file descriptor (pidfd_getfd(2); needs Linux 5.6 and the right to trace that process).
 * @throws ESRCH when there is no such process, EBADF when it has no such descriptor, EPERM.
 */
export function takeFd(pid: number, fd: number): number {
  return addon.takeFd(pid, fd);
}

/**
 * Makes `target` a copy of `fd` in one step (dup(2)), so that no other file lands on it meanwhile; what it was is closed.
 * @throws EBADF when `fd` is not open.
 */
export function dup2(fd: number, target: number): void {
  addon.dup2(fd, target);
}

/**
 * Where a file's next data is, from that offset on (lseek(2), SEEK_DATA): what lies before it is a hole. Moves the descriptor's own offset.
 * @returns its first byte and the one after its last; undefined when there is no more.
 */
export function nextData(fd: number, from: number): [start: number, end: number] | undefined {
  return addon.nextData(fd, from);
}

/** Keeps all descriptors that are open now, from this number on, from programs that are started without naming them (close_range(2)). */
export function closeOnExecFrom(first: number): void {
  addon.closeOnExecFrom(first);
}

/**
 * flock(2). Without LOCK_NB it stops the event loop until the lock is free.
 * @returns false when LOCK_NB was given and another holds the lock.
 */
export function flock(fd: number, operation: number): boolean {
  return addon.flock(fd, operation);
}

/**
 * Locks one byte of a file that is open for writing, which need not have it: for as long as this opening of the file lasts
 * (fcntl(2), "Open file description locks"). Does not wait.
 * @returns false when another opening has it locked.
 */
export function lockByte(fd: number, offset: number): boolean {
  return addon.lockByte(fd, offset);
}

/** Takes one byte of a file as lockByte() does, but beside others that have it so, or lets it go. Does not wait. */
export function shareByte(fd: number, offset: number, held: boolean): void {
  addon.shareByte(fd, offset, held);
}

/** Whether another opening of the file has this byte. */
export function isByteShared(fd: number, offset: number): boolean {
  return addon.isByteShared(fd, offset);
}

/** Writes back everything dirty in the file system that `fd` is on, and waits for it (syncfs(2)). */
export function syncfs(fd: number): void {
  addon.syncfs(fd);
}
