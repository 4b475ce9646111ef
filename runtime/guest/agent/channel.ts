import { type ClientHttp2Session, connect } from "node:http2";
import type { Duplex } from "node:stream";
import { type ChannelInterface, connectivityState } from "@grpc/grpc-js";
import { type Call, Http2Call } from "./call.ts";

/** Bytes the agent may have in flight to us, per stream and for the connection: what a slow reader of stdio can cost. */
const STREAM_WINDOW = 1024 * 1024;
const CONNECTION_WINDOW = 8 * 1024 * 1024;
const MEGABYTES_OF_SESSION_MEMORY = 32;

/**
 * A grpc-js channel over one connection that exists already (vsock, virtio-serial or a socket pair), where grpc-js's own
 * would dial TCP. It never reconnects: a sandbox has one connection, and when that ends the sandbox does.
 */
export class AgentChannel implements ChannelInterface {
  readonly #session: ClientHttp2Session;
  #failure: string | undefined;

  constructor(connection: Duplex) {
    this.#session = connect("http://agent", {
      createConnection: () => connection,
      settings: { initialWindowSize: STREAM_WINDOW, enablePush: false },
      maxSessionMemory: MEGABYTES_OF_SESSION_MEMORY,
    });
    this.#session.on("connect", () => this.#session.setLocalWindowSize(CONNECTION_WINDOW));
    // Every call reports the session's end by itself; without a listener Node would throw it.
    this.#session.on("error", (error) => {
      this.#failure = error.message;
    });
  }

  /** Resolves when the connection has ended, whatever ended it. */
  get closed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#session.destroyed) resolve();
      else this.#session.once("close", () => resolve());
    });
  }

  close(): void {
    this.#session.destroy();
  }

  createCall(method: string, deadline: Date | number): Call {
    return new Http2Call(this.#session, method, Number(deadline), () => this.#closedSentence);
  }

  get #closedSentence(): string {
    const closed = "the connection to the agent is closed";
    return this.#failure === undefined ? closed : `${closed}, since it broke: ${this.#failure}`;
  }

  getTarget(): string {
    return "agent";
  }
  getConnectivityState(): connectivityState {
    return this.#session.destroyed ? connectivityState.SHUTDOWN : connectivityState.READY;
  }
  watchConnectivityState(
    _current: connectivityState,
    _deadline: Date | number,
    callback: (error?: Error) => void,
  ): void {
    callback(new Error("an agent channel has no connectivity states to watch; use closed"));
  }
  getChannelzRef(): ReturnType<ChannelInterface["getChannelzRef"]> {
    throw new Error("an agent channel takes no part in channelz");
  }
}
