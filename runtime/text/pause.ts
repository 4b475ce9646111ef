const NOBODY_WAKES = new Int32Array(new SharedArrayBuffer(4));

/** Has this thread wait, with all that it would do meanwhile: for where nothing can be awaited. @param ms milliseconds. */
export function pause(ms: number): void {
  Atomics.wait(NOBODY_WAKES, 0, 0, ms);
}
