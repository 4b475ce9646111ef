import { closeSync, constants, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { CaissonError, fromWireError } from "../../protocol/errors.ts";
import { now } from "../process/clock.ts";
import { tracePhase } from "../process/trace.ts";
import { daemonLeft, noDaemon } from "./gone.ts";
import { readLines, writeLine } from "./ndjson.ts";
import type { Response, Verb, Verbs } from "./protocol.ts";

interface Pending {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

/** A connection to one sandbox daemon. */
export class ControlClient {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  /** Resolves when the connection has ended: for a daemon that was asked to shut down, when it is gone. */
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    readLines(socket, (value) => this.#answered(value as Response));
    let failure: Error | undefined;
    socket.on("error", (error) => {
      failure = error;
    });
    socket.on("close", () => {
      const error = daemonLeft(failure);
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
    });
  }

  /**
   * Sends one request and returns its result.
   * @throws CaissonError as the daemon reported it; CAISSON_E_VM_DIED when the daemon went away first.
   */
  request<V extends Verb>(verb: V, params: Verbs[V]["params"]): Promise<Verbs[V]["result"]> {
    if (this.#socket.destroyed) {
      return Promise.reject(new CaissonError("CAISSON_E_VM_DIED", "the sandbox daemon is gone"));
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const asked = now();
    const answer = new Promise<Verbs[V]["result"]>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      writeLine(this.#socket, { id, verb, params });
    });
    return answer.finally(() => tracePhase(`the daemon answered "${verb}"`, asked));
  }

  close(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #answered(response: Response): void {
    const pending = this.#pending.get(response.id);
    if (pending === undefined) return;
    this.#pending.delete(response.id);
    if ("error" in response) pending.reject(fromWireError(response.error));
    else pending.resolve(response.result as never);
  }
}

/**
 * Connects to the daemon of the sandbox whose state directory this is. The socket is reached through the directory's
 * file descriptor, since a path may be longer than unix(7) allows (108 bytes).
 * @throws CaissonError CAISSON_E_VM_DIED when no daemon listens there.
 */
export async function connectControl(stateDirectory: string): Promise<ControlClient> {
  const directory = openSync(stateDirectory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const socket = await new Promise<Socket>((resolve, reject) => {
      const attempt = connect(`/proc/self/fd/${directory}/control.sock`, () => resolve(attempt));
      attempt.once("error", reject);
    });
    return new ControlClient(socket);
  } catch (cause) {
    throw noDaemon(cause);
  } finally {
    closeSync(directory);
  }
}
