import { closeSync } from "node:fs";
import { addAbortSignal, Duplex } from "node:stream";
import { addon } from "./addon.ts";
import { duplexOptions, type PollStreamOptions } from "./poll-stream-options.ts";
import { type RoomWatch, watch } from "./poller.ts";
import { READ_LENGTH, Slab } from "./slab.ts";

const { EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLIN, EPOLLOUT, EAGAIN, EIO, EPIPE, ECANCELED, S_IFCHR, S_IFSOCK } =
  addon.constants;

/** Reads in a row before other work gets its turn: a fast sender must not own the event loop. */
const READS_A_TURN = 16;

// All streams share the slab: a read fills it at once.
const sharedSlab = new Slab(4);

/**
 * A Duplex over a descriptor, with the manners of net.Socket: back pressure both ways, half-close, errors with the codes
 * of the system calls. It neither starts threads nor blocks.
 *
 * Ending it shuts a socket's sending half down; other descriptors have no such thing, and are closed when both sides
 * have ended. The reading side ends when a socket's peer ends, a pipe's last writer closes, a terminal hangs up, or the
 * host side of a virtio-serial port disconnects; a write to such a port then fails with EPIPE. An end of file that is typed
 * at a terminal (^D) is passed over.
 *
 * Non-blocking is a property of the open file, not of the descriptor: others who share the open file (a terminal that a
 * shell uses as well) see it too.
 * @throws EPERM for a descriptor that cannot be polled (a regular file), EEXIST for one that is being watched already.
 */
export class PollStream extends Duplex {
  bytesRead = 0;
  bytesWritten = 0;
  #fd: number;
  readonly #keepOpen: boolean;
  readonly #kind: number;
  readonly #isTerminal: boolean;
  /** Reads of nothing from a terminal that lives: with VMIN 0 (termios(3)) each one is until something is typed. */
  #endsInARow = 0;
  readonly #slab: Slab;
  #delivering = false;
  readonly #watch: RoomWatch;
  // Until an attempt says EAGAIN, assume it can: edges are only reported after that.
  #canRead: boolean;
  #canWrite: boolean;
  #awaitsHost: boolean;
  readonly #isOneWay: boolean;
  #isLent = false;
  #spare: Buffer | undefined;
  #wantsData = false;
  #fillDeferred = false;
  #lastEvents = 0;
  #chunks: Uint8Array[] = [];
  #chunkOffset = 0;
  #written: ((error?: Error | null) => void) | undefined;

  constructor(options: PollStreamOptions) {
    super(duplexOptions(options));
    this.#fd = options.fd;
    this.#awaitsHost = options.awaitHost ?? false;
    this.#canRead = !this.#awaitsHost;
    this.#canWrite = !this.#awaitsHost;
    this.#keepOpen = options.keepOpen ?? false;
    this.#isOneWay = options.readable === false || options.writable === false;
    this.#slab = options.transientChunks ? new Slab(1) : sharedSlab;
    this.#kind = addon.open(options.fd);
    this.#isTerminal = this.#kind === S_IFCHR && addon.isTerminal(options.fd) === 1;
    this.#watch = watch(options.fd, (events) => this.#onEvents(events), this.#awaitsHost);
    // Not left to Duplex: its constructor would destroy the stream before the fields above exist.
    if (options.signal !== undefined) addAbortSignal(options.signal, this);
  }

  /** The descriptor, or -1 once the stream is destroyed. */
  get fd(): number {
    return this.#fd;
  }

  /** Lets the process exit although the stream is open. */
  unref(): this {
    this.#watch.setReferenced(false);
    return this;
  }

  /** Undoes unref(). */
  ref(): this {
    this.#watch.setReferenced(true);
    return this;
  }

  /**
   * While it is, nothing is read here, but what has been read before is handed out: somebody else reads from the descriptor; or writes to
   * it, if that is all that it is for. Of what happens to one that is for both it still hears.
   */
  set lent(isLent: boolean) {
    this.#isLent = isLent;
    if (this.#isOneWay) this.#watch.setPaused(isLent);
    if (isLent) return;
    this.#canRead = true;
    this.#fillSoon(process.nextTick);
  }

  #onEvents(events: number): void {
    if (this.#awaitsHost && (events & EPOLLHUP) !== 0) return;
    if (this.#awaitsHost) {
      this.#awaitsHost = false;
      this.#canWrite = true;
      this.#watch.setRoom(false);
    }
    this.#lastEvents = events;
    const over = (events & (EPOLLERR | EPOLLHUP)) !== 0;
    if (over || (events & (EPOLLIN | EPOLLRDHUP)) !== 0) this.#canRead = true;
    if (over || (events & EPOLLOUT) !== 0) this.#canWrite = true;
    this.#fill();
    this.#flush();
  }

  override _read(): void {
    this.#wantsData = true;
    // Later rather than now: what is pushed from in here is queued, what is pushed from outside goes straight to a
    // "data" listener.
    if (this.#canRead) this.#fillSoon(process.nextTick);
  }

  #fillSoon(defer: (callback: () => void) => void): void {
    if (this.#fillDeferred) return;
    this.#fillDeferred = true;
    defer(() => {
      this.#fillDeferred = false;
      this.#fill();
    });
  }

  #fill(): void {
    for (let reads = 0; this.#wantsData && this.#canRead && !this.#isLent && !this.destroyed; reads++) {
      if (reads === READS_A_TURN) {
        this.#fillSoon(setImmediate);
        return;
      }
      const slab = this.#slab;
      slab.reserve();
      const count = addon.read(this.#fd, slab.buffer, slab.offset, READ_LENGTH);
      if (count > 0) {
        // A short count means there is no more, unless this is the end, which shows in the next read only; or an end of
        // file that was typed, after which a terminal may have more.
        const ending = (this.#lastEvents & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0;
        this.#canRead = count === READ_LENGTH || ending || this.#isTerminal;
        this.#endsInARow = 0;
        this.bytesRead += count;
        this.#deliver(slab.take(count));
        continue;
      }
      if (count === 0 && this.#isTerminal && (this.#lastEvents & EPOLLHUP) === 0) {
        this.#endsInARow++;
        this.#canRead = this.#endsInARow < READS_A_TURN;
        continue;
      }
      this.#canRead = false;
      if (count === -EAGAIN) return;
      this.#wantsData = false;
      // A terminal's master answers EIO, not 0, once the last slave is closed.
      if (count === 0 || (count === -EIO && this.#kind === S_IFCHR)) this.push(null);
      else this.destroy(addon.error(-count, "read"));
    }
  }

  #deliver(chunk: Buffer): void {
    // A listener that makes the stream read on, from within, is still using its chunk.
    const nested = this.#delivering;
    this.#delivering = true;
    this.#wantsData = this.push(chunk);
    this.#delivering = nested;
    // With something queued, this chunk was not handed to a listener yet.
    if (this.#slab !== sharedSlab && !nested && this.readableLength === 0) this.#slab.rewind();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#send([chunk], callback);
  }

  /**
   * Writes a chunk that is valid only now: what the descriptor does not take at once is copied.
   * @returns whether it has taken all; if not, `taken` is called when it has, or has failed.
   */
  writeTransient(chunk: Uint8Array, taken: () => void): boolean {
    const written = this.#writeNow(chunk);
    if (written === chunk.length) return true;
    // One after another they need no memory that would have to be collected.
    const isSpare = this.writableLength === 0 && chunk.length <= READ_LENGTH;
    if (isSpare) this.#spare ??= Buffer.allocUnsafeSlow(READ_LENGTH);
    const copy = isSpare ? (this.#spare as Buffer) : Buffer.allocUnsafeSlow(chunk.length);
    copy.set(chunk.subarray(written));
    this.write(copy.subarray(0, chunk.length - written), taken);
    return false;
  }

  #writeNow(chunk: Uint8Array): number {
    if (!this.#canWrite || this.writableLength > 0 || this.destroyed || this.writableEnded) return 0;
    const count = Math.max(0, addon.write(this.#fd, [chunk], 0, false));
    this.bytesWritten += count;
    return count;
  }

  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this.#send(
      chunks.map((entry) => entry.chunk),
      callback,
    );
  }

  #send(chunks: Uint8Array[], callback: (error?: Error | null) => void): void {
    this.#chunks = chunks;
    this.#chunkOffset = 0;
    this.#written = callback;
    this.#flush();
  }

  #flush(): void {
    while (this.#written !== undefined && this.#canWrite && !this.destroyed) {
      this.#dropSent(0);
      if (this.#chunks.length === 0) {
        this.#finishWrite(null);
        return;
      }
      // A character device turns each piece of a writev() into a request of its own, so they are joined first.
      const count = addon.write(this.#fd, this.#chunks, this.#chunkOffset, this.#kind === S_IFCHR);
      if (count >= 0) {
        this.bytesWritten += count;
        this.#dropSent(count);
        continue;
      }
      this.#canWrite = false;
      if (count !== -EAGAIN) this.#finishWrite(addon.error(-count, "write"));
      // A virtio port whose host has disconnected is full rather than broken (will_write_block() in
      // drivers/char/virtio_console.c), and only EPOLLHUP tells the two apart.
      else if ((this.#lastEvents & EPOLLHUP) !== 0) this.#finishWrite(addon.error(EPIPE, "write"));
      else this.#watch.setRoom(true);
    }
  }

  #dropSent(count: number): void {
    let sent = this.#chunkOffset + count;
    let first = 0;
    for (let chunk = this.#chunks[first]; chunk !== undefined && chunk.length <= sent; chunk = this.#chunks[first]) {
      sent -= chunk.length;
      first++;
    }
    if (first > 0) this.#chunks = this.#chunks.slice(first);
    this.#chunkOffset = sent;
  }

  #finishWrite(error: Error | null): void {
    const written = this.#written;
    this.#written = undefined;
    this.#chunks = [];
    written?.(error);
  }

  override _final(callback: (error?: Error | null) => void): void {
    try {
      if (this.#kind === S_IFSOCK) addon.shutdown(this.#fd);
      callback();
    } catch (error) {
      callback(error as Error);
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    let failure = error;
    const fd = this.#fd;
    this.#fd = -1;
    try {
      this.#watch.stop();
      if (!this.#keepOpen) closeSync(fd);
    } catch (closing) {
      failure ??= closing as Error;
    }
    if (this.#written !== undefined) this.#finishWrite(error ?? addon.error(ECANCELED, "write"));
    callback(failure);
  }
}
