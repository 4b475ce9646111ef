import { closeSync } from "node:fs";
import { setOnlcr, setWinsize } from "../../native/posix/index.ts";
import { PollStream } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { ContainerInitClient, Exit } from "../container-init/client.ts";
import type { Plan } from "../container-init/steps.ts";
import { Input, Output } from "./stdio.ts";

/** The longest window a terminal can have (struct winsize, ioctl_tty(2)). */
const MAX_WINDOW = 0xffff;

/** A process of a container, from the moment it exists until its record is dropped. */
export class Process {
  /** For sentences: `container c1` or `process e1 of container c1`. */
  readonly name: string;
  /** The pid in the guest's root pid namespace. */
  readonly pid: number;
  readonly input: Input;
  readonly exited: Promise<Exit>;
  readonly #outputs: { stdout: Output; stderr?: Output };
  readonly #client: ContainerInitClient;
  readonly #terminal: PollStream | undefined;
  #exit: Exit | undefined;
  #endedAtNs = 0n;

  private constructor(name: string, pid: number, client: ContainerInitClient, terminal: number | undefined) {
    this.name = name;
    this.pid = pid;
    this.#client = client;
    if (terminal === undefined) {
      this.input = new Input(new PollStream({ fd: client.stdin, readable: false }));
      this.#outputs = {
        stdout: new Output(new PollStream({ fd: client.stdout, writable: false }), `stdout of ${name}`),
        stderr: new Output(new PollStream({ fd: client.stderr, writable: false }), `stderr of ${name}`),
      };
    } else {
      for (const fd of [client.stdin, client.stdout, client.stderr]) closeSync(fd);
      this.#terminal = new PollStream({ fd: terminal });
      // A terminal has no end of input to pass on: closing it would hang the process up.
      this.input = new Input(this.#terminal, { endable: false });
      this.#outputs = { stdout: new Output(this.#terminal, `the terminal of ${name}`) };
    }
    this.exited = client.exited.then((exit) => {
      this.#exit = exit;
      this.#endedAtNs = BigInt(Date.now()) * 1_000_000n;
      return exit;
    });
  }

  /**
   * Carries out a plan to its first barrier, or to the running program if it has none; throws as ContainerInitClient.run() does.
   * @param state what createContainer hooks read: then the plan has a barrier before them, and another one after.
   */
  static async launch(
    name: string,
    client: ContainerInitClient,
    plan: Plan,
    withTerminal: boolean,
    state?: (pid: number) => string,
  ): Promise<Process> {
    try {
      let pid = await client.run(plan);
      if (state !== undefined) pid = await client.proceed(state(pid));
      return new Process(name, pid, client, withTerminal ? client.takeTerminal() : undefined);
    } catch (error) {
      client.discard();
      throw error;
    }
  }

  /** How it ended; undefined while it lives. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Guest CLOCK_REALTIME of its end, nanoseconds since the epoch; 0 while it lives. */
  get endedAtNs(): bigint {
    return this.#endedAtNs;
  }

  /** Lets it go on from the barrier; answers when its program runs. */
  async proceed(state: string): Promise<void> {
    await this.#client.proceed(state);
  }

  /** Sends a signal, 0 to 64. Throws CAISSON_E_STATE when the process has ended. */
  signal(signal: number): void {
    if (this.#exit === undefined) {
      try {
        process.kill(this.pid, signal);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
    throw new CaissonError("CAISSON_E_STATE", `the signal ${signal} cannot be sent: ${this.name} has ended`);
  }

  /** Throws CAISSON_E_NOT_FOUND for the stderr of a process with a terminal, which has none of its own. */
  output(stream: "stdout" | "stderr"): Output {
    const output = this.#outputs[stream];
    if (output === undefined) {
      throw new CaissonError("CAISSON_E_NOT_FOUND", `${this.name} has a terminal, so it has no ${stream} of its own`);
    }
    return output;
  }

  /** Closes an output that nobody reads any more, unless it is a terminal. Throws as output(). */
  closeOutput(stream: "stdout" | "stderr"): void {
    if (this.#terminal === undefined) this.output(stream).close();
  }

  /** Throws CAISSON_E_STATE when it has no terminal. A terminal whose last process has gone takes any size. */
  resize(rows: number, columns: number): void {
    const { fd } = this.#requireTerminal("The window size cannot be set");
    if (fd >= 0) setWinsize(fd, Math.min(rows, MAX_WINDOW), Math.min(columns, MAX_WINDOW));
  }

  /** Whether "\n" goes out as it is, without "\r". Throws as resize(). */
  keepNewlines(keep: boolean): void {
    const { fd } = this.#requireTerminal("The line ends cannot be set");
    if (fd >= 0) setOnlcr(fd, !keep);
  }

  /** Closes the terminal's master, which hangs the terminal up (pty(7)). Idempotent. Throws as resize(). */
  hangUp(): void {
    const terminal = this.#requireTerminal("The terminal cannot be hung up");
    this.#outputs.stdout.stop();
    this.input.letGo();
    terminal.destroy();
  }

  #requireTerminal(problem: string): PollStream {
    if (this.#terminal !== undefined) return this.#terminal;
    throw new CaissonError("CAISSON_E_STATE", `${problem}: ${this.name} has no terminal`);
  }

  /** Lets the kernel forget the ended process; its output can still be read. */
  release(): void {
    this.#client.close();
    if (this.#terminal === undefined) this.input.close();
  }

  /** release(), and drops its unread output. */
  close(): void {
    this.release();
    this.input.close();
    this.#outputs.stdout.close();
    this.#outputs.stderr?.close();
  }
}
