import { reapIfEnded } from "../../native/posix/index.ts";

const PAUSE_MS = 1000;

const ending = new Set<number>();
let isWaiting = false;

/** Has the kernel forget a child that is about to end: not at once, since nobody waits for that. */
export function reapSoon(pid: number): void {
  ending.add(pid);
  if (!isWaiting) setTimeout(reap, PAUSE_MS).unref();
  isWaiting = true;
}

function reap(): void {
  for (const pid of ending) if (reapIfEnded(pid) !== undefined) ending.delete(pid);
  isWaiting = ending.size > 0;
  if (isWaiting) setTimeout(reap, PAUSE_MS).unref();
}
