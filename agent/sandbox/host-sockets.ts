import { chmodSync, chownSync, mkdirSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { listenUnix, peerCredentials } from "../../native/posix/index.ts";
import { Acceptor, PollStream } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { ConnectionChunk, ServeSocketRequest, SocketConnection } from "../../protocol/generated/agent.ts";
import { log } from "../log.ts";

/** At once, of all sockets: each is a call of its own, and other calls must have room. */
const MOST_CONNECTIONS = 128;
const NOTHING = Buffer.alloc(0);

export type ConnectionCall = ServerDuplexStream<ConnectionChunk, ConnectionChunk>;

/** The sockets of this guest that stand for sockets of the host. */
export class HostSockets {
  readonly #folder: string;
  readonly #acceptors = new Set<Acceptor>();
  /** The connections that the host has not answered yet, by their numbers. */
  readonly #waiting = new Map<number, PollStream>();
  #count = 0;
  #last = 0;

  /** @param folder made when it is needed. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Listens, and tells of each connection.
   * @returns what ends that, and the connections. @throws CaissonError CAISSON_E_STORAGE when it cannot listen there.
   */
  serve({ path, mode, uid, gid }: ServeSocketRequest, tell: (connection: SocketConnection) => void): () => void {
    const fd = this.#listen(path, mode, uid, gid);
    const streams = new Set<PollStream>();
    const take = (accepted: number): void => {
      const credentials = peerCredentials(accepted);
      const stream = new PollStream({ fd: accepted, allowHalfOpen: true });
      this.#last += 1;
      const number = this.#last;
      this.#waiting.set(number, stream);
      streams.add(stream);
      this.#regulate(1);
      // Whoever is not there any more needs no answer.
      stream.on("error", () => {});
      stream.once("close", () => {
        this.#waiting.delete(number);
        streams.delete(stream);
        this.#regulate(-1);
      });
      tell({ number, ...credentials });
    };
    const acceptor = new Acceptor(fd, take, (error) => log("error", `the socket ${path}: ${error.message}`));
    this.#acceptors.add(acceptor);
    this.#regulate(0);
    tell({ number: 0, uid: 0, gid: 0, groups: [] });
    return () => {
      this.#acceptors.delete(acceptor);
      acceptor.close();
      rmSync(path, { force: true });
      for (const stream of streams) stream.destroy();
    };
  }

  /** Connects a call of the host's with the connection that its first message names, or ends that connection. */
  carry(call: ConnectionCall): void {
    let stream: PollStream | undefined;
    call.on("data", ({ number, data, refused }) => {
      if (stream === undefined) {
        stream = this.#waiting.get(number);
        this.#waiting.delete(number);
        if (refused) stream?.destroy();
        if (stream === undefined || refused) {
          call.end();
          return;
        }
        join(stream, call);
      }
      if (data.length === 0 || stream.write(data)) return;
      call.pause();
      stream.once("drain", () => call.resume());
    });
    call.on("end", () => {
      // Node reports the end of the stream also when the host resets it, just before it reports that.
      setImmediate(() => (call.cancelled ? stream?.destroy() : stream?.end()));
    });
    call.once("cancelled", () => stream?.destroy());
    call.on("error", () => stream?.destroy());
  }

  #listen(path: string, mode: number, uid: number, gid: number): number {
    try {
      if (dirname(path) !== this.#folder || !/^\d+$/.test(basename(path))) throw new Error("there is no such place");
      mkdirSync(this.#folder, { recursive: true, mode: 0o711 });
      const fd = listenUnix(path);
      chownSync(path, uid, gid);
      chmodSync(path, mode & 0o777);
      return fd;
    } catch (cause) {
      throw new CaissonError("CAISSON_E_STORAGE", `cannot listen at ${path}: ${(cause as Error).message}`, { cause });
    }
  }

  #regulate(change: number): void {
    this.#count += change;
    for (const acceptor of this.#acceptors) acceptor.held = this.#count >= MOST_CONNECTIONS;
  }
}

/** What the container writes goes to the host. The call ends when both have ended, or the container has gone. */
function join(stream: PollStream, call: ConnectionCall): void {
  const chunk = (data: Buffer, end: boolean): ConnectionChunk => ({ number: 0, data, end, refused: false });
  stream.on("data", (data: Buffer) => {
    if (call.write(chunk(data, false))) return;
    stream.pause();
    call.once("drain", () => stream.resume());
  });
  stream.once("end", () => call.write(chunk(NOTHING, true)));
  stream.once("close", () => call.end());
}
