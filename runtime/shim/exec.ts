import { CaissonError } from "../../protocol/errors.ts";
import type { Process } from "../../protocol/oci.ts";
import type { WindowSize } from "../../protocol/terminal.ts";
import type { Container } from "../guest/container.ts";
import type { Exit } from "../guest/exit-status.ts";
import type { GuestProcess } from "../guest/process.ts";
import { openStdio, type ShimIo, type StdioPaths } from "./task-io.ts";

/** The life of a process that Exec adds. */
type Phase =
  /** Exec has described it. */
  | { name: "added" }
  | { name: "starting" }
  | { name: "running"; process: GuestProcess; streams: ShimIo }
  | { name: "stopped"; exit: Exit; pid: number };

/** What a process added by Exec is, from its description to its removal. */
export class ExecEntry {
  readonly id: string;
  readonly stdio: StdioPaths;
  readonly #spec: Process;
  readonly #ended = Promise.withResolvers<Exit>();
  #phase: Phase = { name: "added" };
  #window: WindowSize | undefined;
  #closeInput = false;

  constructor(id: string, spec: Process, stdio: StdioPaths) {
    this.id = id;
    this.#spec = spec;
    this.stdio = stdio;
    this.#ended.promise.catch(() => {});
  }

  get phase(): Phase["name"] {
    return this.#phase.name;
  }

  /** The pid in the guest's root pid namespace; 0 before the process has started. */
  get pid(): number {
    const phase = this.#phase;
    return phase.name === "running" ? phase.process.pid : phase.name === "stopped" ? phase.pid : 0;
  }

  /** How it has ended; undefined before. */
  get exit(): Exit | undefined {
    return this.#phase.name === "stopped" ? this.#phase.exit : undefined;
  }

  /** Resolves with how it ended; rejects with CAISSON_E_NOT_FOUND when it is removed before it was started. */
  get ended(): Promise<Exit> {
    return this.#ended.promise;
  }

  /** Starts it. @throws CaissonError CAISSON_E_STATE the second time, and as openStdio and Container.exec. */
  async start(container: Container, namespace: string): Promise<GuestProcess> {
    if (this.#phase.name !== "added") {
      throw new CaissonError("CAISSON_E_STATE", `process ${this.id} cannot be started: it is ${this.#phase.name}`);
    }
    this.#phase = { name: "starting" };
    try {
      const streams = await openStdio(this.stdio, { id: container.id, namespace });
      let process: GuestProcess;
      try {
        process = await container.exec(this.id, this.#spec, streams.io, this.#window);
      } catch (error) {
        streams.discard();
        throw error;
      }
      this.#phase = { name: "running", process, streams };
      if (this.#closeInput) streams.input.letEnd();
      streams.input.open();
      void process.exit.then((exit) => {
        this.#phase = { name: "stopped", exit, pid: process.pid };
        this.#ended.resolve(exit);
      });
      return process;
    } catch (error) {
      this.#phase = { name: "added" };
      throw error;
    }
  }

  /** Sets the terminal's size, also before the process has started. */
  async resize(container: Container, window: WindowSize): Promise<void> {
    this.#window = window;
    if (this.#phase.name === "running") await container.resize(window, this.id);
  }

  closeInput(): void {
    this.#closeInput = true;
    if (this.#phase.name === "running") this.#phase.streams.input.letEnd();
  }

  /** Tells that the exec is removed: nobody can wait for what was never started. */
  remove(): void {
    this.#ended.reject(new CaissonError("CAISSON_E_NOT_FOUND", `process ${this.id} was removed before it was started`));
  }
}
