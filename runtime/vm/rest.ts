import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A guest is at rest when QEMU uses less than this share of a processor for a window; past the limit it never is. */
const REST_WINDOW_MS = 100;
const REST_SHARE = 0.1;
const REST_LIMIT_MS = 10_000;
/** USER_HZ, the unit of utime and stime in /proc/PID/stat (proc(5)). */
const TICKS_PER_SECOND = 100;

/**
 * Waits until the guest sits idle after its agent lost the connection: a clone begins exactly where it was saved, and
 * should begin by waiting for us.
 */
export async function rest(pid: number, signal: AbortSignal): Promise<void> {
  const limit = performance.now() + REST_LIMIT_MS;
  let before = processorSeconds(pid);
  while (performance.now() < limit) {
    const start = performance.now();
    await sleep(REST_WINDOW_MS, undefined, { signal });
    const after = processorSeconds(pid);
    if (after - before < (REST_SHARE * (performance.now() - start)) / 1000) return;
    before = after;
  }
}

function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // After the name, which may hold anything, utime and stime are the 12th and 13th fields.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
