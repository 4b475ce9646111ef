import { loadAddon } from "../addon.ts";

/** The context and port of one end of an AF_VSOCK socket (vsock(7)). */
export interface VsockAddress {
  cid: number;
  port: number;
}

interface VsockAddon {
  /** `events` gets pairs of id and events; `callback` is told how many pairs there are. */
  pollerStart(callback: (count: number) => void, events: Int32Array): void;
  /** `room`: whether it is told that there is room for a write, too. */
  pollerAdd(fd: number, id: number, room: boolean): void;
  pollerChange(fd: number, id: number, room: boolean): void;
  pollerRemove(fd: number): void;
  pollerRef(keepLoopAlive: boolean): void;
  /** Moves bytes until the end of `from`; takes the number after `id` as well. `drains`: see CarryOptions. */
  carryStart(from: number, to: number, id: number, drains: boolean): void;
  /** These return CARRY_* for what is new. -1 bytes: what it has taken already. */
  carryLimit(id: number, bytes: number): number;
  carryLetGo(id: number): number;
  /** How many bytes it has moved. */
  carryStop(id: number): number;
  /** Makes `fd` non-blocking; the S_IFMT bits of its mode. */
  open(fd: number): number;
  /** 1 for a terminal, else 0. */
  isTerminal(fd: number): number;
  /** Bytes read, 0 at the end, or a negative errno. */
  read(fd: number, buffer: Uint8Array, offset: number, length: number): number;
  /** Bytes taken, or a negative errno. `offset` is that into the first chunk; `gather` joins chunks before write(2). */
  write(fd: number, chunks: readonly Uint8Array[], offset: number, gather: boolean): number;
  shutdown(fd: number): void;
  error(errno: number, syscall: string, subject?: string): NodeJS.ErrnoException;
  connect(cid: number, port: number, timeoutMs: number): number;
  listen(cid: number, port: number, backlog: number): number;
  accept(fd: number): number;
  socketError(fd: number): number;
  localAddress(fd: number): VsockAddress;
  remoteAddress(fd: number): VsockAddress;
  constants: {
    readonly EPOLLIN: number;
    readonly EPOLLOUT: number;
    readonly EPOLLERR: number;
    readonly EPOLLHUP: number;
    readonly EPOLLRDHUP: number;
    readonly S_IFCHR: number;
    readonly S_IFSOCK: number;
    readonly EAGAIN: number;
    readonly EALREADY: number;
    readonly ECANCELED: number;
    readonly ECONNABORTED: number;
    readonly EIO: number;
    readonly EPIPE: number;
    readonly CARRY_OVER: number;
    readonly CARRY_BROKEN: number;
  };
}

export const addon = loadAddon("vsock") as VsockAddon;
