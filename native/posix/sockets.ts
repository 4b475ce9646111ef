/** Sockets and pipes: see index.ts. */
import { addon, type Credentials, type ReceivedFd } from "./addon.ts";

/** Two connected stream sockets (AF_UNIX, blocking). */
export function socketpair(): [number, number] {
  return addon.socketpair();
}

/** A pipe (both ends blocking), the end to read from first. */
export function pipe(): [read: number, write: number] {
  return addon.pipe();
}

/**
 * A stream socket connected to the Unix socket at `path`, for what node:net cannot do with one: passing descriptors.
 * @throws EAGAIN when the listener's backlog is full: it never waits. ENAMETOOLONG past 107 bytes (unix(7)).
 */
export function connectUnix(path: string): number {
  return addon.connectUnix(path);
}

/**
 * A stream socket that listens at `path`, whose connections node:net is not to accept.
 * @throws EADDRINUSE when there is something, ENAMETOOLONG past 107 bytes (unix(7)).
 */
export function listenUnix(path: string): number {
  return addon.listenUnix(path);
}

/** Who has connected to a Unix socket, or bound it (unix(7), SO_PEERCRED and SO_PEERGROUPS). */
export function peerCredentials(fd: number): Credentials {
  return addon.peerCredentials(fd);
}

/**
 * As connectUnix(), but as somebody else: what the socket lets him do counts, and he is whom the listener sees, in this process. Takes root.
 * The socket is non-blocking.
 * @throws EACCES when he may not connect.
 */
export function connectUnixAs(path: string, { uid, gid, groups }: Credentials): number {
  return addon.connectUnixAs(path, uid, gid, new Uint8Array(Uint32Array.from(groups).buffer));
}

/**
 * Sends copies of 1 to 253 descriptors over a Unix socket, with 1 to 4096 bytes that say what they are.
 * @throws EAGAIN when the socket's buffer is full: it never waits.
 */
export function sendFds(socketFd: number, fds: readonly number[], data: Uint8Array): void {
  addon.sendFds(socketFd, new Uint8Array(Int32Array.from(fds).buffer), data);
}

/**
 * Takes one message that carries one descriptor.
 * @throws EAGAIN when none has come yet (it never waits), ECONNRESET when the peer has closed, ENOMSG when bytes came
 *   without a descriptor; those bytes are dropped.
 */
export function recvFd(socketFd: number): ReceivedFd {
  return addon.recvFd(socketFd);
}
