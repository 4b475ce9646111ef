/** Resolves after so long. node:timers/promises, which can be told to stop, takes a verb 2 ms to load. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
