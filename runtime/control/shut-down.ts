import { setTimeout as delay } from "node:timers/promises";
import { connectControl } from "./client.ts";

/** A daemon takes at most 10 s to end a container; past that it hangs, and its caller kills it. */
const LIMIT_MS = 15_000;

/**
 * Asks the daemon that listens in a container's state directory to end, and with it the container and its VM. Resolves when it has gone,
 * when none answers, or after a limit: whether the process has gone is the caller's to see. Never rejects.
 */
export async function shutDown(directory: string): Promise<void> {
  const ended = new AbortController();
  try {
    using client = await connectControl(directory);
    const late = delay(LIMIT_MS, undefined, { signal: ended.signal }).catch(() => {});
    await Promise.race([client.request("shutdown", {}).then(() => client.closed), client.closed, late]);
  } catch {
    // None answers: it is ending by itself, or broken.
  } finally {
    ended.abort();
  }
}
