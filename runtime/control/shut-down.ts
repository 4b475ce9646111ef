import { deadline } from "../process/deadline.ts";
import { connectControl } from "./client.ts";

/** A daemon takes at most 10 s to end a container; past that it hangs, and its caller kills it. */
const LIMIT_MS = 15_000;

/**
 * Asks the daemon that listens in a container's state directory to end, and with it the container and its VM. Resolves when it has gone,
 * when none answers, or after a limit: whether the process has gone is the caller's to see. Never rejects.
 */
export async function shutDown(directory: string): Promise<void> {
  try {
    using client = await connectControl(directory);
    const gone = Promise.race([client.request("shutdown", {}).then(() => client.closed), client.closed]);
    await deadline(gone, LIMIT_MS);
  } catch {
    // No daemon answers: it is ending by itself, or broken.
  }
}
