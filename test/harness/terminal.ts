import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openpty, recvFd, setWinsize } from "../../native/posix/index.ts";
import { PollStream } from "../../native/vsock/index.ts";
import { PROGRAM } from "./host.ts";

const ANSWER_LIMIT_MS = 180_000;

/** The master's end of a pseudo-terminal: what a person at it types and sees. */
export class Screen implements Disposable {
  readonly #master: number;
  readonly #stream: PollStream;
  #text = "";

  constructor(master: number) {
    this.#master = master;
    this.#stream = new PollStream({ fd: master });
    // The other end closed.
    this.#stream.on("error", () => {});
    this.#stream.setEncoding("utf8").on("data", (text: string) => {
      this.#text += text;
    });
  }

  type(text: string): void {
    this.#stream.write(text);
  }

  resize(rows: number, columns: number): void {
    setWinsize(this.#master, rows, columns);
  }

  /** Waits until that has been shown since the last call, and returns all that was. */
  async shows(wanted: RegExp): Promise<string> {
    for (const end = performance.now() + ANSWER_LIMIT_MS; !wanted.test(this.#text); ) {
      if (performance.now() > end) throw new Error(`the terminal never showed ${wanted}, but: ${this.#text}`);
      await delay(10);
    }
    const text = this.#text;
    this.#text = "";
    return text;
  }

  [Symbol.dispose](): void {
    this.#stream.destroy();
  }
}

/** A pseudo-terminal with caisson running on it, as from a person's shell. */
export class Terminal implements Disposable {
  readonly screen: Screen;
  readonly #slave: number;

  constructor() {
    const { master, slave } = openpty();
    this.#slave = slave;
    this.screen = new Screen(master);
  }

  /** Starts `caisson --root ... args` with this as its controlling terminal. */
  spawn(root: string, args: readonly string[]): ChildProcess {
    const stdio = [this.#slave, this.#slave, this.#slave];
    return spawn("setsid", ["--ctty", "--wait", PROGRAM, "--root", root, ...args], { stdio });
  }

  /** Starts a program with this as its controlling terminal, and those of its standard streams that are not redirected. */
  start(command: readonly string[], redirected: readonly ("stdin" | "stdout" | "stderr")[]): ChildProcess {
    const stream = (name: (typeof redirected)[number]) => (redirected.includes(name) ? ("pipe" as const) : this.#slave);
    const streams = [stream("stdin"), stream("stdout"), stream("stderr")];
    const script = 'exec "$@" <&3 >&4 2>&5 3<&- 4>&- 5>&-';
    return spawn("setsid", ["--ctty", "--wait", "sh", "-c", script, "sh", ...command], {
      stdio: [this.#slave, this.#slave, this.#slave, ...streams],
    });
  }

  /** All that stty(1) says of the terminal. */
  modes(): string {
    return execFileSync("stty", ["-a"], { stdio: [this.#slave, "pipe", "inherit"], encoding: "utf8" });
  }

  [Symbol.dispose](): void {
    this.screen[Symbol.dispose]();
    closeSync(this.#slave);
  }
}

/** Listens as engines do for `--console-socket`. */
export class ConsoleSocket implements Disposable {
  readonly path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "caisson-console-"));
  readonly #server: Server;
  /** The terminal that is sent. */
  readonly screen: Promise<Screen>;

  constructor() {
    this.path = join(this.#folder, "console.sock");
    const { promise, resolve, reject } = Promise.withResolvers<Screen>();
    this.screen = promise;
    this.#server = createServer({ pauseOnConnect: true }, (socket) => {
      receive(descriptor(socket))
        .then((master) => resolve(new Screen(master)), reject)
        .finally(() => socket.destroy());
    });
    this.#server.listen(this.path);
  }

  [Symbol.dispose](): void {
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Listens where `--pidfd-socket` sends a pidfd to. */
export class PidfdSocket implements Disposable {
  readonly path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "caisson-pidfd-"));
  readonly #server: Server;
  /** The process that the pidfd refers to (proc_pid_fdinfo(5)). */
  readonly pid: Promise<number>;

  constructor() {
    this.path = join(this.#folder, "pidfd.sock");
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.pid = promise;
    this.#server = createServer({ pauseOnConnect: true }, (socket) => {
      receive(descriptor(socket))
        .then((pidfd) => {
          const info = readFileSync(`/proc/self/fdinfo/${pidfd}`, "utf8");
          closeSync(pidfd);
          resolve(Number(/^Pid:\s+(\d+)$/m.exec(info)?.[1]));
        }, reject)
        .finally(() => socket.destroy());
    });
    this.#server.listen(this.path);
  }

  [Symbol.dispose](): void {
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The descriptor that somebody sends, who may take a moment for it. */
async function receive(socketFd: number): Promise<number> {
  for (const end = performance.now() + ANSWER_LIMIT_MS; ; await delay(10)) {
    try {
      return recvFd(socketFd).fd;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || performance.now() > end) throw error;
    }
  }
}

/** Node has no other way to a socket's descriptor, which a message with another descriptor has to be read from. */
function descriptor(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}
