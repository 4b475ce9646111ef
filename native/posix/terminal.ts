/** Terminals: see index.ts. */
import { addon, type Pty, type Winsize } from "./addon.ts";

/** A new pseudo-terminal from /dev/ptmx; neither end becomes the controlling terminal. */
export function openpty(): Pty {
  return addon.openpty();
}

/** Sets a terminal's size; its foreground process group gets SIGWINCH if that is a change. */
export function setWinsize(fd: number, rows: number, columns: number): void {
  addon.setWinsize(fd, rows, columns);
}

export function getWinsize(fd: number): Winsize {
  return addon.getWinsize(fd);
}

/** Puts a terminal into raw mode, as cfmakeraw(3) says, at once. */
export function makeRaw(fd: number): void {
  addon.makeRaw(fd);
}

/** Whether a terminal's mode says that "\n" goes out as "\r\n" (ONLCR, termios(3)); it does so only where OPOST is on, too. */
export function getOnlcr(fd: number): boolean {
  return addon.getOnlcr(fd);
}

/** Sets or clears ONLCR, at once. */
export function setOnlcr(fd: number, on: boolean): void {
  addon.setOnlcr(fd, on);
}

/** Makes a terminal the controlling one of this process, which must lead a session that has none (TIOCSCTTY). */
export function setControllingTerminal(fd: number): void {
  addon.setControllingTerminal(fd);
}
