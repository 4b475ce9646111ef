import { Socket } from "node:net";
import { sendFds } from "../../native/posix/index.ts";

const LINE_LIMIT = 512;

/** Our end of the socket on which the library in QEMU takes the connections that it is to stand between (native/vhost-proxy). */
export class ShareLink {
  readonly #fd: number;
  readonly #socket: Socket;

  /** Takes over `fd`. @param onError called with the reason for which the shared directory's device has ended. */
  constructor(fd: number, onError: (reason: string) => void) {
    this.#fd = fd;
    this.#socket = new Socket({ fd, readable: true, writable: true });
    this.#socket.on("error", () => {});
    let line = "";
    this.#socket.on("data", (chunk: Buffer) => {
      // QEMU may have been taken over by its guest.
      line = `${line}${chunk.toString("latin1").replaceAll(/[^\x20-\x7e\n]/g, "?")}`.slice(0, LINE_LIMIT);
      const [whole, rest] = line.split("\n");
      if (rest !== undefined && whole !== undefined) onError(whole.replace(/^error /, ""));
    });
  }

  /** Hands it QEMU's connection and the server's; both stay the caller's. @throws the system's error. */
  join(qemu: number, server: number): void {
    sendFds(this.#fd, [qemu, server], Buffer.of(0));
  }

  close(): void {
    this.#socket.destroy();
  }
}
