import type { Writable } from "node:stream";
import { now } from "../../process/clock.ts";

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
