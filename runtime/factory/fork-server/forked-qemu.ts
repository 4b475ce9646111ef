import { Socket } from "node:net";
import { signalName } from "../../process/signal-number.ts";
import type { QemuChild, QemuEnd } from "../../vm/spawn.ts";

const LINE_LIMIT = 512;

/** A QEMU that a fork server has made: it lives for as long as our connection to that one (native/fork-server/server.c). */
export class ForkedQemu implements QemuChild {
  readonly stderr: Socket;
  readonly ended: Promise<QemuEnd>;
  /** Resolves when QEMU's pid is known, or when there is none to come. */
  readonly forked: Promise<void>;
  readonly #connection: Socket;
  #pid = 0;
  #end: QemuEnd = { problem: "its fork server has ended" };

  /** Takes the descriptors over: of the connection on which it was asked for, and of our end of its standard error. */
  constructor(connection: number, stderr: number) {
    this.stderr = new Socket({ fd: stderr, readable: true, writable: false });
    this.#connection = new Socket({ fd: connection, readable: true, writable: true, allowHalfOpen: true });
    for (const event of ["end", "error"]) this.#connection.on(event, () => this.#connection.destroy());
    const forked = Promise.withResolvers<void>();
    this.forked = forked.promise;
    let line = "";
    this.#connection.on("data", (chunk: Buffer) => {
      const lines = `${line}${chunk.toString("latin1")}`.split("\n");
      line = (lines.pop() ?? "").slice(0, LINE_LIMIT);
      for (const each of lines) this.#take(each);
      forked.resolve();
    });
    this.ended = new Promise<void>((resolve) => this.#connection.once("close", () => resolve())).then(() => {
      forked.resolve();
      return this.#end;
    });
  }

  get pid(): number {
    return this.#pid;
  }

  kill(): void {
    this.#connection.end();
  }

  #take(line: string): void {
    const [word, ...rest] = line.split(" ");
    const text = rest.join(" ");
    if (word === "pid") this.#pid = Number(text);
    else if (word === "exit") this.#end = { exitCode: Number(text) };
    else if (word === "signal") this.#end = { signal: signalName(Number(text)) };
    else if (word === "error") this.#end = { problem: `its fork server says: ${text}` };
  }
}
