import { Socket } from "node:net";
import { sendFds } from "../../native/posix/index.ts";

/** QEMU may have been taken over by its guest: no line from it may cost us more than this. */
const LINE_LIMIT_BYTES = 1024 * 1024;
const PENDING_LIMIT = 64;
const COMMAND_LIMIT_MS = 10_000;

export interface QmpEvent {
  name: string;
  data: Readonly<Record<string, unknown>>;
}

export interface QmpOptions {
  onEvent(event: QmpEvent): void;
  /** The connection ended: QEMU is gone or broke the protocol. Called once. */
  onClose(error: Error | undefined): void;
  /** Whether the greeting has gone to somebody else, who has negotiated as well. */
  greeted?: boolean;
}

export interface ExecuteOptions {
  signal?: AbortSignal;
  /** 10 s by default; Infinity leaves it to the signal. */
  limitMs?: number;
}

/** A command that QEMU refused; `errorClass` is QMP's, mostly GenericError. */
export class QmpError extends Error {
  override readonly name = "QmpError";
  readonly errorClass: string;

  constructor(command: string, errorClass: string, description: string) {
    super(`QEMU refused ${command}: ${description}`);
    this.errorClass = errorClass;
  }
}

interface Pending {
  command: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface Awaited {
  matches(event: QmpEvent): boolean;
  resolve(event: QmpEvent): void;
  reject(error: unknown): void;
}

/**
 * A QMP connection (qemu: docs/interop/qmp-spec.rst) over an inherited socket. Commands may be written before the greeting has come: QEMU
 * takes them in order, so that a clone's whole set-up costs no round trip.
 */
export class QmpClient {
  readonly #fd: number;
  readonly #socket: Socket;
  readonly #options: QmpOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #awaited = new Set<Awaited>();
  #nextId = 1;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #greeted: boolean;
  #closed = false;

  /** Takes over `fd`, our end of the socket pair, and closes it. */
  constructor(fd: number, options: QmpOptions) {
    this.#fd = fd;
    this.#options = options;
    this.#greeted = options.greeted === true;
    this.#socket = new Socket({ fd, readable: true, writable: true });
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    // ECONNRESET: QEMU ended with a command of ours unread. That it ended says "close".
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#end(undefined));
  }

  /**
   * Runs a command and returns what QEMU answered, unchecked.
   * @throws QmpError when QEMU refused it, TimeoutError past the limit, the signal's reason, or an Error when the
   *   connection ended first.
   */
  execute(command: string, parameters?: Record<string, unknown>, options: ExecuteOptions = {}): Promise<unknown> {
    return this.#request(command, options, (id) =>
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: parameters, id })}\n`),
    );
  }

  /** Gives QEMU a copy of a descriptor under a name that commands like `migrate` take as `fd:NAME` ("getfd"). */
  async passDescriptor(name: string, fd: number, options: ExecuteOptions = {}): Promise<void> {
    await this.#request("getfd", options, (id) =>
      sendFds(
        this.#fd,
        [fd],
        Buffer.from(`${JSON.stringify({ execute: "getfd", arguments: { fdname: name }, id })}\n`),
      ),
    );
  }

  /** Gives QEMU a copy of a descriptor as the only one of a set, which it opens by the path `/dev/fdset/N` ("add-fd"). */
  async addDescriptor(set: number, fd: number, options: ExecuteOptions = {}): Promise<void> {
    await this.#request("add-fd", options, (id) =>
      sendFds(
        this.#fd,
        [fd],
        Buffer.from(`${JSON.stringify({ execute: "add-fd", arguments: { "fdset-id": set }, id })}\n`),
      ),
    );
  }

  /**
   * The next event that matches.
   * @throws the signal's reason, or an Error when the connection ends first.
   */
  async nextEvent(matches: (event: QmpEvent) => boolean, signal?: AbortSignal): Promise<QmpEvent> {
    signal?.throwIfAborted();
    if (this.#closed) throw new Error("QEMU's monitor is closed");
    const { promise, resolve, reject } = Promise.withResolvers<QmpEvent>();
    const awaited = { matches, resolve, reject };
    const abort = () => reject(signal?.reason);
    this.#awaited.add(awaited);
    signal?.addEventListener("abort", abort);
    try {
      return await promise;
    } finally {
      this.#awaited.delete(awaited);
      signal?.removeEventListener("abort", abort);
    }
  }

  close(): void {
    this.#end(undefined);
  }

  #request(command: string, { signal, limitMs = COMMAND_LIMIT_MS }: ExecuteOptions, send: (id: number) => void) {
    return new Promise<unknown>((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#closed) throw new Error(`QEMU's monitor is closed, so ${command} cannot be run`);
      if (this.#pending.size >= PENDING_LIMIT) throw new Error(`too many commands wait for QEMU to run ${command}`);
      const id = this.#nextId++;
      const expire = () => {
        settle();
        reject(new DOMException(`QEMU did not answer ${command} within ${limitMs} ms.`, "TimeoutError"));
      };
      const limit = limitMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(expire, limitMs);
      const abort = () => {
        settle();
        reject(signal?.reason as Error);
      };
      const settle = () => {
        clearTimeout(limit);
        signal?.removeEventListener("abort", abort);
        this.#pending.delete(id);
      };
      signal?.addEventListener("abort", abort);
      this.#pending.set(id, {
        command,
        resolve(value) {
          settle();
          resolve(value);
        },
        reject(error) {
          settle();
          reject(error);
        },
      });
      try {
        send(id);
      } catch (error) {
        settle();
        throw error;
      }
    });
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0 && !this.#closed; end = rest.indexOf(10)) {
      this.#received.push(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      const line = Buffer.concat(this.#received);
      this.#received = [];
      this.#receivedBytes = 0;
      if (line.length > LINE_LIMIT_BYTES) {
        this.#refuse("a line too long");
        return;
      }
      this.#take(line.toString("utf8"));
    }
    this.#receivedBytes += rest.length;
    if (this.#receivedBytes > LINE_LIMIT_BYTES) {
      this.#refuse("a line too long");
      return;
    }
    if (rest.length > 0) this.#received.push(rest);
  }

  #take(line: string): void {
    const message = parseObject(line);
    if (message === undefined) {
      this.#refuse("a line that is no JSON object");
      return;
    }
    if (!this.#greeted) {
      if (!isObject(message["QMP"])) {
        this.#refuse("no greeting");
        return;
      }
      this.#greeted = true;
      return;
    }
    const { event, id, error } = message;
    if (typeof event === "string") {
      const data = message["data"];
      this.#dispatch({ name: event, data: isObject(data) ? data : {} });
      return;
    }
    // The answer to a command we gave up on, or one nobody sent.
    const pending = typeof id === "number" ? this.#pending.get(id) : undefined;
    if (pending === undefined) return;
    if (isObject(error)) pending.reject(new QmpError(pending.command, String(error["class"]), String(error["desc"])));
    else pending.resolve(message["return"]);
  }

  #dispatch(event: QmpEvent): void {
    this.#options.onEvent(event);
    for (const awaited of this.#awaited) if (awaited.matches(event)) awaited.resolve(event);
  }

  #refuse(what: string): void {
    this.#end(new Error(`QEMU's monitor sent ${what}`));
  }

  #end(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#received = [];
    this.#socket.destroy();
    for (const { command, reject } of [...this.#pending.values()]) {
      reject(new Error(`QEMU's monitor closed before it answered ${command}`, { cause: error }));
    }
    for (const { reject } of this.#awaited) reject(new Error("QEMU's monitor closed", { cause: error }));
    this.#options.onClose(error);
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
