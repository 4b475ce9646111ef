import type { DuplexOptions } from "node:stream";
import { READ_LENGTH } from "./slab.ts";

export interface PollStreamOptions {
  /** Any descriptor epoll takes: a socket, a pipe, a terminal, a virtio-serial port. The stream makes it non-blocking. */
  fd: number;
  /** Leave the descriptor open when the stream is destroyed; by default it is the stream's to close. */
  keepOpen?: boolean;
  /** False for a descriptor that is only written to. */
  readable?: boolean;
  /** False for a descriptor that is only read from. */
  writable?: boolean;
  /** The option of node:net's name: unless set, the writable side ends when the readable one does. */
  allowHalfOpen?: boolean;
  /** Bytes buffered a direction before back pressure sets in; 64 KiB by default. */
  highWaterMark?: number;
  /**
   * Chunks are valid only while their "data" event runs: the next read overwrites them. For a listener that copies at
   * once, as node:http2 does; one that keeps chunks (pipe(), pipeline()) would see them change. Chunks that have to wait
   * for a listener are not overwritten. Under emulation, where touching fresh memory is dear, it reads up to three
   * times as fast.
   */
  transientChunks?: boolean;
  /**
   * For the guest's end of a virtio-serial port: nothing is read or written before the host has connected. Such a port is
   * hung up until then, which would read as its end; the kernel wakes us when the host comes.
   */
  awaitHost?: boolean;
  /** Destroys the stream with an AbortError. */
  signal?: AbortSignal;
}

/** What a Duplex is told of them. */
export function duplexOptions(options: PollStreamOptions): DuplexOptions {
  // `readable` and `writable` are documented options that DuplexOptions does not list.
  const duplex = {
    readable: options.readable ?? true,
    writable: options.writable ?? true,
    allowHalfOpen: options.allowHalfOpen ?? false,
    highWaterMark: options.highWaterMark ?? READ_LENGTH,
  };
  return duplex;
}
