import { PollStream } from "../../../native/vsock/index.ts";
import type { ConnectionChunk } from "../../../protocol/generated/agent.ts";
import type { Agent } from "../agent/client.ts";

const NOTHING = Buffer.alloc(0);

/** A container's connection to a socket of the host, which this process makes in its place. */
export class Connection {
  readonly #call: ReturnType<Agent["carryConnection"]>;
  readonly #socket: PollStream;
  #containerEnded = false;
  /** Settles when nothing is left of it, on the host's side. Never rejects. */
  readonly over: Promise<void>;
  /** Settles when the host has all that the container has written, or nobody takes it. Never rejects. */
  readonly taken: Promise<void>;

  /** @param fd connected; closed with the connection. */
  constructor(agent: Agent, number: number, fd: number) {
    this.#call = agent.carryConnection();
    this.#socket = new PollStream({ fd, allowHalfOpen: true });
    const over = Promise.withResolvers<void>();
    const taken = Promise.withResolvers<void>();
    this.over = over.promise;
    this.taken = taken.promise;
    this.#socket.once("finish", taken.resolve);
    this.#socket.once("close", () => {
      taken.resolve();
      over.resolve();
    });
    this.#toHost();
    this.#toContainer(number);
  }

  /** Ends both sides at once. */
  destroy(): void {
    this.#call.cancel();
    this.#socket.destroy();
  }

  #toHost(): void {
    const call = this.#call;
    const socket = this.#socket;
    call.on("data", ({ data, end }: ConnectionChunk) => {
      if (data.length > 0 && !socket.write(data)) {
        call.pause();
        socket.once("drain", () => call.resume());
      }
      if (!end) return;
      this.#containerEnded = true;
      socket.end();
    });
    // A call that ends before the container has ended its side: its end of the connection is gone.
    call.on("end", () => {
      if (!this.#containerEnded) socket.destroy();
    });
    call.on("error", () => socket.destroy());
  }

  #toContainer(number: number): void {
    const call = this.#call;
    const socket = this.#socket;
    const chunk = (data: Buffer, of = 0): ConnectionChunk => ({ number: of, data, end: false, refused: false });
    call.write(chunk(NOTHING, number));
    socket.on("data", (data: Buffer) => {
      if (call.write(chunk(data))) return;
      socket.pause();
      call.once("drain", () => socket.resume());
    });
    socket.once("end", () => call.end());
    // EPIPE, ECONNRESET: whoever listened has closed it, and the container is to see that.
    socket.once("error", () => call.cancel());
  }
}

/** Tells the guest that a connection cannot be made. */
export function refuseConnection(agent: Agent, number: number): void {
  const call = agent.carryConnection();
  call.on("error", () => {});
  call.resume();
  call.write({ number, data: NOTHING, end: false, refused: true });
  call.end();
}
