import { EventEmitter } from "node:events";
import { closeSync } from "node:fs";
import { Acceptor } from "./acceptor.ts";
import { addon, type VsockAddress } from "./addon.ts";
import { VMADDR_CID_ANY, VsockSocket } from "./socket.ts";

const { EALREADY } = addon.constants;

export interface VsockListenOptions {
  port: number;
  /** Which of this machine's addresses; any by default. */
  cid?: number;
  /** Connections the kernel keeps waiting; 128 by default. */
  backlog?: number;
  /** Option of the accepted sockets; see PollStreamOptions. */
  allowHalfOpen?: boolean;
  /** Option of the accepted sockets; see PollStreamOptions. */
  transientChunks?: boolean;
}

interface VsockServerEvents {
  listening: [];
  connection: [socket: VsockSocket];
  /** Nothing listens any more, and every accepted socket is closed. */
  close: [];
  error: [error: Error];
}

/** A listening AF_VSOCK socket, with the events of net.Server. */
export class VsockServer extends EventEmitter<VsockServerEvents> {
  #fd = -1;
  #acceptor: Acceptor | undefined;
  #sockets = 0;
  #socketOptions: Pick<VsockListenOptions, "allowHalfOpen" | "transientChunks"> = {};

  /** Whether it takes connections. */
  get listening(): boolean {
    return this.#acceptor !== undefined;
  }

  /**
   * Starts listening; "listening" is emitted right after.
   * @throws EADDRINUSE, EADDRNOTAVAIL when the machine has no such cid, EAFNOSUPPORT, EALREADY when it listens.
   */
  listen(options: VsockListenOptions): this {
    if (this.#acceptor !== undefined) throw addon.error(EALREADY, "listen");
    const fd = addon.listen(options.cid ?? VMADDR_CID_ANY, options.port, options.backlog ?? 128);
    const onError = (error: Error) => this.emit("error", error);
    this.#acceptor = new Acceptor(fd, (accepted) => this.#take(accepted), onError);
    this.#fd = fd;
    const { allowHalfOpen = false, transientChunks = false } = options;
    this.#socketOptions = { allowHalfOpen, transientChunks };
    process.nextTick(() => this.listening && this.emit("listening"));
    return this;
  }

  /** Where it listens, or null when it does not. */
  address(): VsockAddress | null {
    return this.#acceptor === undefined ? null : addon.localAddress(this.#fd);
  }

  /** Stops taking connections; those taken go on, and "close" is emitted after the last of them. */
  close(): this {
    if (this.#acceptor === undefined) return this;
    this.#acceptor.close();
    this.#acceptor = undefined;
    this.#fd = -1;
    this.#emitClose();
    return this;
  }

  /** Lets the process exit although the server listens. */
  unref(): this {
    this.#acceptor?.unref();
    return this;
  }

  #emitClose(): void {
    if (this.#acceptor === undefined && this.#sockets === 0) process.nextTick(() => this.emit("close"));
  }

  #take(fd: number): void {
    const socket = this.#open(fd);
    if (socket === undefined) return;
    this.#sockets++;
    socket.once("close", () => {
      this.#sockets--;
      this.#emitClose();
    });
    this.emit("connection", socket);
  }

  #open(fd: number): VsockSocket | undefined {
    try {
      return new VsockSocket({ fd, ...this.#socketOptions });
    } catch {
      // The peer has gone since (getpeername() is ENOTCONN): as good as never connected.
      closeSync(fd);
      return undefined;
    }
  }
}

/** A server that hands each connection to `onConnection`; call listen() on it. */
export function createServer(onConnection?: (socket: VsockSocket) => void): VsockServer {
  const server = new VsockServer();
  if (onConnection !== undefined) server.on("connection", onConnection);
  return server;
}
