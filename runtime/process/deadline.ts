/**
 * Waits for a promise, but no longer than `limitMs`. The process does not stay for the limit's sake, and the limit's timer
 * ends with the wait.
 * @returns what the promise resolves with; undefined when the limit has passed first. Rejects as the promise does.
 */
export async function deadline<T>(promise: Promise<T>, limitMs: number): Promise<T | undefined> {
  const passed = Promise.withResolvers<undefined>();
  const timer = setTimeout(passed.resolve, limitMs, undefined).unref();
  try {
    return await Promise.race([promise, passed.promise]);
  } finally {
    clearTimeout(timer);
  }
}
