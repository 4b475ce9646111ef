/** Where the fork server of a template is found, and what it is asked for. */
import { closeSync, writeSync } from "node:fs";
import { join } from "node:path";
import { connectUnix, sendFds } from "../../../native/posix/index.ts";
import { socketAddress } from "../../state/socket-address.ts";
import { readBounded, SMALL_FILE } from "../../text/bounded-read.ts";

/** In the template's folder: the socket at which it listens, and what it says of itself. */
export const SOCKET_FILE = "fork-server.sock";
export const DESCRIPTION_FILE = "fork-server.json";

/** Numbers of the server's descriptors, in whose place a copy gets its own. */
export interface Roles {
  qmp: number;
  console: number;
  /** The socket that listens for the agent's connection. */
  agent: number;
  /** The library that carries the shared directory's requests takes its connections from it (native/vhost-proxy). */
  library: number;
  /** Its socket for what serves the shared directory. */
  share: number;
  /** By the numbers of the network devices. */
  taps: readonly number[];
  /** Its sockets for the stream ports, in their order. */
  streams: readonly number[];
}

export interface Description {
  /** The pid of the server. */
  pid: number;
  roles: Roles;
}

/** What asks a server to end, in place of a user. */
const END = -1;

/** A connection to the fork server of a template; whoever does not ask it for a copy disposes of it. */
export class ForkServer implements Disposable {
  /** The pid of the server. */
  readonly pid: number;
  readonly roles: Roles;
  #connection: number | undefined;

  private constructor({ pid, roles }: Description, connection: number) {
    this.pid = pid;
    this.roles = roles;
    this.#connection = connection;
  }

  /** @returns undefined when the template has none that runs. */
  static connect(folder: string): ForkServer | undefined {
    try {
      const description = readDescription(folder);
      using address = socketAddress(join(folder, SOCKET_FILE));
      return new ForkServer(description, connectUnix(address.path));
    } catch {
      return undefined;
    }
  }

  /**
   * Asks for a copy that is this user, and has these descriptors, by the numbers whose places they take; they stay the caller's.
   * @returns the connection, on which the copy's life hangs; the caller's from now on.
   * @throws the system's error when the server has just ended.
   */
  ask(uid: number, descriptors: readonly (readonly [target: number, fd: number])[]): number {
    const connection = this.#connection;
    if (connection === undefined) throw new Error("the fork server has been asked already");
    const numbers = Int32Array.of(uid, ...descriptors.map(([target]) => target));
    const fds = descriptors.map(([, fd]) => fd);
    sendFds(connection, fds, new Uint8Array(numbers.buffer));
    this.#connection = undefined;
    return connection;
  }

  [Symbol.dispose](): void {
    if (this.#connection !== undefined) closeSync(this.#connection);
    this.#connection = undefined;
  }
}

/** The process id of the fork server that a template has; undefined when it has none that runs. */
export function forkServerPid(folder: string): number | undefined {
  using server = ForkServer.connect(folder);
  return server?.pid;
}

/** Has the fork server of a template end once its last copy has; there may be none. */
export function endForkServer(folder: string): void {
  try {
    using address = socketAddress(join(folder, SOCKET_FILE));
    const connection = connectUnix(address.path);
    try {
      writeSync(connection, new Uint8Array(Int32Array.of(END).buffer));
    } finally {
      closeSync(connection);
    }
  } catch {
    // The server has ended.
  }
}

/** @throws when there is none, or it is not whole. */
function readDescription(folder: string): Description {
  const description = JSON.parse(readBounded(join(folder, DESCRIPTION_FILE), SMALL_FILE).toString()) as Description;
  const { qmp, console, agent, library, share, taps, streams } = description.roles;
  for (const fd of [description.pid, qmp, console, agent, library, share, ...taps, ...streams]) {
    if (!Number.isSafeInteger(fd) || fd < 3) throw new Error(`${DESCRIPTION_FILE} is damaged`);
  }
  return description;
}
