import { Socket } from "node:net";
import { sendFds } from "../../native/posix/index.ts";
import { log } from "../text/log.ts";

const LINE_LIMIT = 512;
/** QEMU may have been taken over by its guest, which is to have no more of the log. */
const MOST_RECORDS = 20;

/** What the library in QEMU tells, each the end of a sentence. */
interface Told {
  /** The reason for which the shared directory's device has ended. */
  onError(reason: string): void;
  /** That the guest waits for it, or does no more. Goes to the log by default. */
  onWarning?(what: string): void;
}

/** Our end of the socket on which the library in QEMU takes the connections that it is to stand between (native/vhost-proxy). */
export class ShareLink {
  readonly #fd: number;
  readonly #socket: Socket;
  readonly #told: Required<Told>;
  #records = 0;
  #warning: string | undefined;

  /** Takes over `fd`. */
  constructor(fd: number, { onError, onWarning = warn }: Told) {
    this.#fd = fd;
    this.#told = { onError, onWarning };
    this.#socket = new Socket({ fd, readable: true, writable: true });
    this.#socket.on("error", () => {});
    let begun = "";
    this.#socket.on("data", (chunk: Buffer) => {
      const lines = `${begun}${chunk.toString("latin1").replaceAll(/[^\x20-\x7e\n]/g, "?")}`.split("\n");
      begun = (lines.pop() ?? "").slice(0, LINE_LIMIT);
      for (const line of lines) this.#hear(line.slice(0, LINE_LIMIT));
    });
  }

  #hear(line: string): void {
    const [, kind, what = ""] = /^(warning|again) (.*)/.exec(line) ?? [];
    if (kind === undefined) {
      this.#told.onError(line.replace(/^error /, ""));
      return;
    }
    this.#warning = kind === "warning" ? what : undefined;
    if (this.#records++ < MOST_RECORDS) this.#told.onWarning(what);
  }

  /** What the guest waits for now. */
  get warning(): string | undefined {
    return this.#warning;
  }

  /** Hands it QEMU's connection and the server's; both stay the caller's. @throws the system's error. */
  join(qemu: number, server: number): void {
    sendFds(this.#fd, [qemu, server], Buffer.of(0));
  }

  close(): void {
    this.#socket.destroy();
  }
}

function warn(what: string): void {
  log.warning(`the VM's shared directory: ${what}`);
}
