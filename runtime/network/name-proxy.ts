/** What stands between a guest and the name server of its network. */
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { connect, createServer, type Server, type Socket } from "node:net";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { log } from "../text/log.ts";

/** A UDP and a TCP port. */
export interface NamePort {
  address: string;
  port: number;
}

/** What asks the server: nothing listens at it. */
const OWN_ADDRESS = "127.0.0.1";
/** A guest may ask as much as it likes: what is too much is dropped, as a network would. */
const MOST_QUERIES = 64;
const MOST_CONNECTIONS = 16;
/** Longer than resolvers wait for an answer. */
const ANSWER_LIMIT_MS = 20_000;

/** Passes the questions of one client on to a server, in the network namespace of the main thread. */
export class NameProxy implements Disposable {
  readonly #client: string;
  readonly #upstream: NamePort;
  readonly #datagrams = createSocket("udp4");
  readonly #server: Server;
  readonly #queries = new Set<Datagrams>();
  readonly #connections = new Set<Socket>();

  private constructor(client: string, upstream: NamePort) {
    this.#client = client;
    this.#upstream = upstream;
    this.#datagrams.on("message", (question, from) => {
      if (from.address === client) this.#ask(question, from.port);
    });
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#connect(socket));
    this.#server.maxConnections = MOST_CONNECTIONS;
  }

  /**
   * Resolves once it listens. @param client the only address that is answered.
   * @throws CAISSON_E_NETWORK when the port is somebody's.
   */
  static async start(client: string, { address, port }: NamePort, upstream: NamePort): Promise<NameProxy> {
    const proxy = new NameProxy(client, upstream);
    try {
      await Promise.all([
        listening(proxy.#datagrams, () => proxy.#datagrams.bind(port, address)),
        listening(proxy.#server, () => proxy.#server.listen(port, address)),
      ]);
      return proxy;
    } catch (cause) {
      proxy[Symbol.dispose]();
      const doing = `listen at ${address}:${port}`;
      throw new CaissonError("CAISSON_E_NETWORK", systemErrorSentence(doing, cause), { cause });
    }
  }

  /** May be called again. */
  [Symbol.dispose](): void {
    for (const query of this.#queries) query.close();
    this.#queries.clear();
    for (const connection of this.#connections) connection.destroy();
    this.#server.close();
    try {
      this.#datagrams.close();
    } catch {
      // The socket is closed.
    }
  }

  #ask(question: Buffer, port: number): void {
    if (this.#queries.size >= MOST_QUERIES) return;
    const query = createSocket("udp4");
    this.#queries.add(query);
    const late = setTimeout(() => end(), ANSWER_LIMIT_MS).unref();
    const end = () => {
      clearTimeout(late);
      if (this.#queries.delete(query)) query.close();
    };
    query.on("error", end);
    query.once("message", (answer) => {
      end();
      this.#datagrams.send(answer, port, this.#client, () => {});
    });
    const { address, port: server } = this.#upstream;
    query.bind(0, OWN_ADDRESS, () => query.connect(server, address, () => query.send(question)));
  }

  #connect(client: Socket): void {
    if (client.remoteAddress !== this.#client) {
      client.destroy();
      return;
    }
    const { address: host, port } = this.#upstream;
    const upstream = connect({ host, port, localAddress: OWN_ADDRESS, allowHalfOpen: true });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#connections.add(socket);
      socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy());
      socket.on("error", () => {});
      socket.once("close", () => {
        this.#connections.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}

/** Resolves when it listens; later errors are told to the log. */
async function listening(socket: Datagrams | Server, start: () => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("listening", resolve);
  socket.once("error", reject);
  start();
  await promise;
  socket.off("error", reject);
  socket.on("error", (error: Error) => log.debug(`the name server: ${error.message}`));
}
