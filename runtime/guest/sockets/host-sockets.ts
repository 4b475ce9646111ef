import type { ServiceError } from "@grpc/grpc-js";
import type { Credentials } from "../../../native/posix/index.ts";
import type { SocketConnection } from "../../../protocol/generated/agent.ts";
import type { IdMapping, Spec } from "../../../protocol/oci.ts";
import type { SharedSocket } from "../../storage/shared-socket.ts";
import { systemErrorSentence } from "../../text/errors.ts";
import { log } from "../../text/log.ts";
import { agentError } from "../agent/agent-error.ts";
import type { Agent } from "../agent/client.ts";
import { Connection, refuseConnection } from "./connection.ts";

/** The connections of a container at once; the agent has fewer in all (agent/host-sockets.ts). */
const MOST_CONNECTIONS = 256;
/** What an ended container has written is waited for so long. */
const TAKEN_WITHIN_MS = 2000;

type Call = ReturnType<Agent["serveSocket"]>;

/** The host's sockets that a container has, and its connections to them. */
export class HostSockets {
  readonly #agent: Agent;
  readonly #linux: Spec["linux"];
  readonly #calls: Call[] = [];
  readonly #connections = new Set<Connection>();
  readonly #closing = new AbortController();
  /** The kinds of refusals that the log has: one of a kind is enough. */
  readonly #told = new Set<string>();

  private constructor(agent: Agent, { linux }: Spec) {
    this.#agent = agent;
    this.#linux = linux;
  }

  /**
   * Has the guest listen for each of them.
   * @returns once it does. @throws CaissonError of the agent that names the mount; nothing is left then.
   */
  static async serve(agent: Agent, sockets: readonly SharedSocket[], spec: Spec): Promise<HostSockets> {
    const served = new HostSockets(agent, spec);
    try {
      await Promise.all(sockets.map((socket) => served.#serve(socket)));
      return served;
    } catch (error) {
      served.close();
      throw error;
    }
  }

  /** After the container's end: waits until the host has what the container has written, but not for ever. */
  async drained(): Promise<void> {
    const taken = Promise.all([...this.#connections].map((connection) => connection.taken));
    const { promise, resolve } = Promise.withResolvers<void>();
    const limit = setTimeout(resolve, TAKEN_WITHIN_MS);
    await Promise.race([taken, promise]);
    clearTimeout(limit);
  }

  /** Ends all of it. May be called again. */
  close(): void {
    this.#closing.abort();
    for (const call of this.#calls) call.cancel();
    for (const connection of this.#connections) connection.destroy();
  }

  #serve(socket: SharedSocket): Promise<void> {
    const { guestPath: path, mode, uid, gid } = socket;
    const call = this.#agent.serveSocket({ path, mode: mode & 0o777, uid, gid });
    this.#calls.push(call);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    call.on("data", (connection: SocketConnection) => {
      if (connection.number === 0) resolve();
      else void this.#connect(socket, connection);
    });
    call.on("error", (error: ServiceError) => reject(agentError("serveSocket", error)));
    call.on("end", () => reject(new Error("the agent does not serve the socket any more")));
    return promise;
  }

  async #connect(socket: SharedSocket, { number, ...who }: SocketConnection): Promise<void> {
    try {
      if (this.#connections.size >= MOST_CONNECTIONS) throw new Error(`there are ${MOST_CONNECTIONS} connections`);
      const fd = await socket.connect(this.#inContainer(who), this.#closing.signal);
      const connection = new Connection(this.#agent, number, fd);
      this.#connections.add(connection);
      await connection.over;
      this.#connections.delete(connection);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      refuseConnection(this.#agent, number);
      const why = systemErrorSentence(`connect the container to ${socket.name}`, error);
      if (this.#told.has(why)) return;
      this.#told.add(why);
      log.warning(`${socket.field}: ${why}`);
    }
  }

  /** A guest may say what it likes: nobody of a container with a user namespace is anybody outside of it. */
  #inContainer({ uid, gid, groups }: Credentials): Credentials {
    const { uidMappings = [], gidMappings = [] } = this.#linux ?? {};
    if (!isMapped(uid, uidMappings) || !isMapped(gid, gidMappings)) {
      throw new Error(`the guest names the user ${uid}:${gid}, who is not of the container`);
    }
    return { uid, gid, groups: groups.filter((group) => isMapped(group, gidMappings)) };
  }
}

function isMapped(id: number, mappings: readonly IdMapping[]): boolean {
  return mappings.length === 0 || mappings.some(({ hostID, size }) => id >= hostID && id < hostID + size);
}
