import type { Writable } from "node:stream";
import { now } from "../../process/clock.ts";

/*
 * When the output of a process that has ended is over. It has to leave the guest, where a process that is left over may keep a
 * stream open: the pump takes a silence for its end. Then it has to be taken by its reader, who need not read: whoever waits
 * for that waits so long.
 */

/** How long what an ended container has written may take to leave the guest: it is little. Then the VM may end. */
export const COLLECT_LIMIT_MS = 10_000;
/** How long the end of a container is not put on record since its output is on its way to a reader. */
export const DELIVERY_LIMIT_MS = 500;
/** How long an output may not have moved, to count as read by nobody: for an engine that is told the end after it. */
export const STALL_LIMIT_MS = 10_000;
/** The same where the container is removed. */
export const REMOVAL_STALL_LIMIT_MS = 500;

const POLLS_A_LIMIT = 5;

/** Destroys streams that have not moved for `limitMs` together; stops looking at them when `over` settles. */
export function abandonStalled(
  streams: readonly (Writable | undefined)[],
  limitMs: number,
  over: Promise<unknown>,
): void {
  const outputs = streams.filter((stream) => stream !== undefined);
  const progress = () => outputs.map((stream) => (stream as { bytesWritten?: number }).bytesWritten ?? 0).join();
  let before = progress();
  let since = now();
  const poll = setInterval(() => {
    const after = progress();
    if (after !== before) {
      before = after;
      since = now();
    } else if (now() - since > limitMs) {
      for (const stream of outputs) stream.destroy(new Error("nobody reads it"));
    }
  }, limitMs / POLLS_A_LIMIT);
  void over.then(() => clearInterval(poll));
}
