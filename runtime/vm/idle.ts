import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A guest is at rest when QEMU uses less than this share of a processor for so many windows on end; past the limit it never
 * is.
 */
const REST_WINDOW_MS = 100;
const REST_WINDOWS = 3;
const REST_SHARE = 0.1;
const REST_LIMIT_MS = 10_000;

/**
 * Waits until the guest sits idle after its agent lost the connection: a clone begins exactly where it was saved, and
 * should begin by waiting for us.
 */
export async function idle(pid: number, signal: AbortSignal): Promise<void> {
  const limit = performance.now() + REST_LIMIT_MS;
  let before = wantedSeconds(pid);
  for (let quiet = 0; quiet < REST_WINDOWS && performance.now() < limit; ) {
    const start = performance.now();
    await sleep(REST_WINDOW_MS, undefined, { signal });
    const after = wantedSeconds(pid);
    quiet = after - before < (REST_SHARE * (performance.now() - start)) / 1000 ? quiet + 1 : 0;
    before = after;
  }
}

/**
 * How long its threads have run, or have waited for a processor: on a busy host one that gets none is not at rest
 * (Documentation/scheduler/sched-stats.rst).
 */
function wantedSeconds(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, id) => sum + threadNs(`${tasks}/${id}/schedstat`), 0) / 1e9;
}

/** 0 of a thread that has just ended. */
function threadNs(file: string): number {
  try {
    const [running = 0, waiting = 0] = readFileSync(file, "latin1").split(" ").map(Number);
    return running + waiting;
  } catch {
    return 0;
  }
}
