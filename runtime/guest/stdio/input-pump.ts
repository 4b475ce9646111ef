import type { Readable } from "node:stream";
import type { ProcessId } from "../../../protocol/generated/agent.ts";
import type { StreamPort } from "../../vm/stream-ports.ts";
import { Bulk } from "./bulk.ts";
import type { Ways } from "./moved-output.ts";

/** The longest chunk that agent.proto allows, bytes. */
const STDIN_CHUNK = 256 * 1024;
/** How long the guest may take to empty a port whose stdin has ended. */
const DRAIN_LIMIT_MS = 10_000;
const REST = { process: undefined, data: Buffer.alloc(0), port: 0, portBytes: 0n };

/**
 * Copies `source` to the process's stdin until its end, then closes stdin; the guest slow stops the reading. It goes through a call, and
 * when much comes, through a stream port, if there is one.
 */
export function pumpInput(ways: Ways, process: ProcessId, source: Readable): void {
  const { agent, ports } = ways;
  const { stream, done } = agent.writeStdin();
  const bulk = new Bulk();
  let port: StreamPort | undefined;
  let portBytes = 0;
  // The process has ended or closed its stdin: what is left of the source is not ours to read.
  done
    .catch(() => {})
    .finally(() => {
      source.destroy();
      if (port !== undefined) empty(ways, port, portBytes);
      port = undefined;
    });
  stream.on("error", () => source.destroy());
  stream.write({ ...REST, process });
  const write = (chunk: Buffer): boolean => {
    let room = true;
    for (let at = 0; at < chunk.length; at += STDIN_CHUNK) {
      room = stream.write({ ...REST, data: Buffer.from(chunk.subarray(at, at + STDIN_CHUNK)) });
    }
    return room;
  };
  const resume = () => source.resume();
  source.on("data", (chunk: Buffer) => {
    if (port !== undefined) {
      portBytes += chunk.length;
      if (!port.stream.writeTransient(chunk, resume)) source.pause();
      return;
    }
    if (!write(chunk)) {
      source.pause();
      stream.once("drain", resume);
    }
    if (!bulk.add(chunk.length)) return;
    port = ports.take("toGuest");
    if (port !== undefined) stream.write({ ...REST, port: port.number });
  });
  const end = () => {
    if (port !== undefined) stream.write({ ...REST, portBytes: BigInt(portBytes) });
    stream.end();
  };
  source.once("end", end);
  source.once("error", end);
  // It may be over before anybody listens.
  if (source.readableEnded || source.destroyed) end();
}

/** The port is free again once the guest has taken out of it all that was for this process. */
function empty({ agent, ports }: Ways, port: StreamPort, bytes: number): void {
  const request = { port: port.number, portBytes: BigInt(bytes) };
  agent.call("drainStdin", request, { timeoutMs: DRAIN_LIMIT_MS }).then(
    () => ports.giveBack(port),
    () => ports.drop(port),
  );
}
