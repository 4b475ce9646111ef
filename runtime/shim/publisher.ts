import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import { type Envelope, ForwardRequest } from "../../protocol/generated/containerd/events.ts";
import { deadline } from "../process/deadline.ts";
import { log } from "../text/log.ts";
import { Client } from "../ttrpc/client.ts";
import { StatusError } from "../ttrpc/status.ts";
import { packAny, timestamp } from "./any.ts";

const SERVICE = "containerd.services.events.ttrpc.v1.Events";
const CALL_LIMIT_MS = 5000;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 2000;
/** Events kept while containerd is away; it asks for what it has missed, but its subscribers may not. */
const MAX_QUEUE = 4096;

/** Publishes events to containerd, each until it is taken and in their order, over restarts of containerd. */
export class Publisher {
  readonly #address: string;
  readonly #namespace: string;
  readonly #queue: Envelope[] = [];
  readonly #stop = new AbortController();
  #client: Client | undefined;
  #sending: Promise<void> | undefined;

  /** @param address containerd's ttrpc socket; empty: there is nobody to tell. */
  constructor(address: string, namespace: string) {
    this.#address = address.replace(/^unix:\/\//, "");
    this.#namespace = namespace;
  }

  get hasListener(): boolean {
    return this.#address !== "";
  }

  /** @param type the event's name in containerd.events, e.g. "TaskExit". */
  publish<T>(topic: string, type: string, message: { encode(value: T): BinaryWriter }, event: T): void {
    if (this.#address === "" || this.#stop.signal.aborted) return;
    if (this.#queue.length >= MAX_QUEUE) {
      this.#queue.shift();
      log.warning(`more than ${MAX_QUEUE} events wait for containerd: the oldest was dropped`);
    }
    this.#queue.push({
      timestamp: timestamp(Date.now()),
      namespace: this.#namespace,
      topic,
      event: packAny(`containerd.events.${type}`, message, event),
    });
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Waits until all events are taken, at most so long, and sends no more. */
  async close(limitMs: number): Promise<void> {
    await deadline(Promise.resolve(this.#sending), limitMs);
    this.#stop.abort();
    this.#client?.close();
  }

  async #send(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    for (let envelope = this.#queue[0]; envelope !== undefined; envelope = this.#queue[0]) {
      if (this.#stop.signal.aborted) return;
      try {
        await this.#forward(envelope);
        retryMs = FIRST_RETRY_MS;
        if (this.#queue[0] === envelope) this.#queue.shift();
      } catch (error) {
        log.debug(`the event ${envelope.topic} waits for containerd: ${(error as Error).message}`);
        await delay(retryMs, undefined, { ref: false });
        retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
      }
    }
  }

  async #forward(envelope: Envelope): Promise<void> {
    if (this.#client === undefined || this.#client.closed) this.#client = new Client(connect(this.#address));
    const request = ForwardRequest.encode({ envelope }).finish();
    try {
      await this.#client.call(SERVICE, "Forward", request, { timeoutMs: CALL_LIMIT_MS, signal: this.#stop.signal });
    } catch (error) {
      // What is wrong with the connection is not wrong with the next one.
      if (!(error instanceof StatusError)) throw error;
      this.#client.close();
      throw error;
    }
  }
}
