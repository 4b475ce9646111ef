import { createServer, type Server, type Socket } from "node:net";
import { deadline } from "../process/deadline.ts";
import { socketAddress } from "../state/socket-address.ts";
import type { ControlClient } from "./client.ts";
import { type Handlers, serveControl } from "./server.ts";

/** How long the last answers may take to leave for clients that do not read. */
const FAREWELL_LIMIT_MS = 200;

type HandlersWithJoin = Partial<Handlers> & Pick<Handlers, "join">;

/** Where the verbs about one container come in. */
export class ControlListener {
  readonly #handlers: () => HandlersWithJoin;
  readonly #elsewhere: (() => ControlClient | undefined) | undefined;
  readonly #connections = new Set<Socket>();
  #server: Server | undefined;

  /** As serveControl(). */
  constructor(handlers: () => HandlersWithJoin, elsewhere?: () => ControlClient | undefined) {
    this.#handlers = handlers;
    this.#elsewhere = elsewhere;
  }

  serve(connection: Socket): void {
    this.#connections.add(connection);
    connection.once("close", () => this.#connections.delete(connection));
    serveControl(
      connection,
      () => {
        const handlers = this.#handlers();
        const join: Handlers["join"] = async (params, from) => {
          await handlers.join(params, from);
          // The life of another container hangs on this connection from now on.
          this.#connections.delete(from);
        };
        return { ...handlers, join };
      },
      this.#elsewhere,
    );
  }

  /** Rejects with Node's system error when the socket cannot be made. */
  async listen(controlSocket: string): Promise<void> {
    const server = createServer((connection) => this.serve(connection));
    this.#server = server;
    // Kept for as long as the server: libuv unlinks the path that it was given.
    const address = socketAddress(controlSocket);
    server.once("close", () => address[Symbol.dispose]());
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address.path, resolve);
    });
  }

  /** Lets the last answers out, then resolves. */
  async close(): Promise<void> {
    this.#server?.close();
    const farewells = [...this.#connections].map(
      (connection) => new Promise<void>((resolve) => connection.end(() => resolve())),
    );
    await deadline(Promise.all(farewells), FAREWELL_LIMIT_MS);
  }
}
