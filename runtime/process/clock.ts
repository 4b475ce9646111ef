/**
 * Milliseconds since this process started, which no change of the clock moves; the start of a phase. (Node loads its module
 * perf_hooks for the first who asks for `performance`: 2 to 3 ms.)
 */
export function now(): number {
  return process.uptime() * 1000;
}

let started: number | undefined;

/** When that was, milliseconds since the epoch, by today's clock. (Node's performance.timeOrigin is of the process that a snapshot is of.) */
export function startedAt(): number {
  started ??= Date.now() - now();
  return started;
}
