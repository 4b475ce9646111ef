import { closeSync } from "node:fs";
import { connect, PollStream, type VsockSocket } from "../../native/vsock/index.ts";
import { AGENT_STREAM_VSOCK_PORT } from "../../protocol/guest-contract.ts";
import { log } from "../text/log.ts";

const OPTIONS = { transientChunks: true, allowHalfOpen: true } as const;
/** A guest that has carried much for a while answers soon. */
const CONNECT_LIMIT_MS = 5000;

/** Where a stream port comes from. */
export interface PortSource {
  /** Undefined before open() has returned it. */
  readonly stream: PollStream | undefined;
  /** Never to be had again. */
  readonly isLost: boolean;
  /** The stream, which does not flow, and by which number the agent knows it; undefined while it is not there yet. */
  open(): { number: number; stream: PollStream } | undefined;
  /** May be called again. */
  close(): void;
}

/** QEMU has the other end of a socket, and makes it a virtio-serial port. */
export class SerialPort implements PortSource {
  readonly #fd: number;
  readonly #number: number;
  stream: PollStream | undefined;
  #isClosed = false;

  constructor(fd: number, number: number) {
    this.#fd = fd;
    this.#number = number;
  }

  get isLost(): boolean {
    return this.#isClosed || this.stream?.destroyed === true;
  }

  open(): { number: number; stream: PollStream } {
    this.stream ??= quiet(new PollStream({ fd: this.#fd, ...OPTIONS }));
    return { number: this.#number, stream: this.stream };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.stream === undefined) closeSync(this.#fd);
    else this.stream.destroy();
  }
}

/** A connection to the guest, which knows it by the port that it comes from. */
export class VsockPort implements PortSource {
  readonly #cid: number;
  readonly #closed = new AbortController();
  #connecting = false;
  stream: VsockSocket | undefined;

  constructor(cid: number) {
    this.#cid = cid;
  }

  get isLost(): boolean {
    return this.#closed.signal.aborted || this.stream?.destroyed === true;
  }

  open(): { number: number; stream: PollStream } | undefined {
    if (this.stream !== undefined) return { number: this.stream.localAddress.port, stream: this.stream };
    if (!this.#connecting) void this.#connect();
    return undefined;
  }

  close(): void {
    this.#closed.abort(new Error("the VM has no more use of it"));
    this.stream?.destroy();
  }

  async #connect(): Promise<void> {
    this.#connecting = true;
    const to = { cid: this.#cid, port: AGENT_STREAM_VSOCK_PORT, timeoutMs: CONNECT_LIMIT_MS };
    try {
      this.stream = quiet(await connect({ ...to, ...OPTIONS, signal: this.#closed.signal }));
    } catch (error) {
      log.debug(`streams stay with the agent's connection: ${(error as Error).message}`);
      this.close();
    }
  }
}

/** Who uses it hears of its end; nobody can use it afterwards. */
function quiet<Stream extends PollStream>(stream: Stream): Stream {
  stream.pause();
  return stream.on("error", () => {});
}
