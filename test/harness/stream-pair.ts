/** Two streams over the ends of a socket pair. */

import { socketpair } from "../../native/posix/index.ts";
import { PollStream, type PollStreamOptions } from "../../native/vsock/index.ts";

type Options = Omit<PollStreamOptions, "fd">;

export function streamPair(first: Options = {}, second: Options = {}): [PollStream, PollStream] {
  const [one, other] = socketpair();
  return [new PollStream({ fd: one, ...first }), new PollStream({ fd: other, ...second })];
}

/** All that comes from a stream until its end. */
export async function readAll(stream: PollStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
