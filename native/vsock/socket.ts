import { closeSync } from "node:fs";
import { addon, type VsockAddress } from "./addon.ts";
import { PollStream } from "./poll-stream.ts";
import type { PollStreamOptions } from "./poll-stream-options.ts";
import { waitForEvents } from "./wait.ts";

const { EPOLLOUT, EPOLLERR, EPOLLHUP } = addon.constants;

/** The addresses of vsock(7): any of this machine's, this machine itself, and the machine this one is a guest of. */
export const VMADDR_CID_ANY = 0xffffffff;
export const VMADDR_CID_LOCAL = 1;
export const VMADDR_CID_HOST = 2;

/** A connected AF_VSOCK stream socket. */
export class VsockSocket extends PollStream {
  readonly localAddress: VsockAddress;
  readonly remoteAddress: VsockAddress;

  constructor(options: PollStreamOptions) {
    const localAddress = addon.localAddress(options.fd);
    const remoteAddress = addon.remoteAddress(options.fd);
    super(options);
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
  }
}

export interface VsockConnectOptions {
  cid: number;
  port: number;
  /** How long the peer may take to answer, 1 to 2^31 - 1 ms; 10 s by default. The kernel keeps it. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** See PollStreamOptions. */
  allowHalfOpen?: boolean;
  /** See PollStreamOptions. */
  transientChunks?: boolean;
}

/**
 * Connects to a port of another machine.
 * @throws ETIMEDOUT when the peer did not answer in time, ECONNRESET when nothing listens on the port, ENODEV when there
 *   is no machine with that cid, EAFNOSUPPORT when the kernel has no AF_VSOCK, and the signal's reason.
 */
export async function connect(options: VsockConnectOptions): Promise<VsockSocket> {
  const { cid, port, timeoutMs = 10_000, signal, allowHalfOpen = false, transientChunks = false } = options;
  signal?.throwIfAborted();
  const fd = addon.connect(cid, port, timeoutMs);
  try {
    await waitForEvents(fd, signal, (events) => {
      if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) === 0) return false;
      const error = addon.socketError(fd);
      if (error !== 0) throw addon.error(error, "connect", `vsock:${cid}:${port}`);
      return (events & EPOLLOUT) !== 0;
    });
    return new VsockSocket({ fd, allowHalfOpen, transientChunks });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
