import { CaissonError } from "../../protocol/errors.ts";
import { Status } from "../../protocol/generated/containerd/types.ts";
import type { Process } from "../../protocol/oci.ts";
import type { WindowSize } from "../../protocol/terminal.ts";
import type { Container } from "../guest/container.ts";
import type { Exit } from "../guest/exit-status.ts";
import { deadline } from "../process/deadline.ts";
import type { PodContainer } from "../sandbox/pod-container.ts";
import { ExecEntry } from "./exec.ts";
import type { TaskEvents } from "./task-events.ts";
import type { ShimIo, StdioPaths } from "./task-io.ts";

/** How long the end of a container waits for the ends of its other processes to be told first. */
const EXECS_LIMIT_MS = 2000;

const INIT_STATUS = {
  created: Status.CREATED,
  running: Status.RUNNING,
  paused: Status.PAUSED,
  stopped: Status.STOPPED,
} as const;

const EXEC_STATUS = {
  added: Status.CREATED,
  starting: Status.CREATED,
  running: Status.RUNNING,
  stopped: Status.STOPPED,
} as const;

export interface ProcessState {
  pid: number;
  status: Status;
  stdio: StdioPaths;
  exit: Exit | undefined;
}

/** A container as containerd knows it: a task with processes, whose doings it announces. */
export class Task {
  readonly own: PodContainer;
  readonly container: Container;
  readonly bundle: string;
  readonly stdio: StdioPaths;
  /** On the host: what engines look up in /proc. */
  readonly pid: number;
  /** Resolves with how the container ended, once that has been announced. */
  readonly ended: Promise<Exit>;
  readonly #namespace: string;
  readonly #events: TaskEvents;
  readonly #streams: ShimIo;
  readonly #execs = new Map<string, ExecEntry>();
  readonly #announced = new Set<Promise<unknown>>();
  #exit: Exit | undefined;
  #oomTold = false;

  constructor(
    own: PodContainer,
    about: { bundle: string; stdio: StdioPaths; namespace: string },
    streams: ShimIo,
    events: TaskEvents,
  ) {
    const { container } = own;
    this.own = own;
    this.container = container;
    this.bundle = about.bundle;
    this.stdio = about.stdio;
    this.pid = own.pid;
    this.#namespace = about.namespace;
    this.#streams = streams;
    this.#events = events;
    this.ended = this.#follow();
  }

  /** @throws CaissonError CAISSON_E_NOT_FOUND for a process that there is not. */
  state(execId: string): ProcessState {
    if (execId === "") {
      return { pid: this.pid, status: INIT_STATUS[this.container.lifecycle], stdio: this.stdio, exit: this.#exit };
    }
    const { pid, phase, stdio, exit } = this.#exec(execId);
    return { pid, status: EXEC_STATUS[phase], stdio, exit };
  }

  /** Starts the container, or a process that was added. @returns its pid. */
  async start(execId: string): Promise<number> {
    if (execId !== "") return await this.#startExec(this.#exec(execId));
    const starting = this.own.start();
    this.#streams.input.open();
    // The end is told after the start, also when it comes first.
    const announced = starting.then(() => this.#events.started(this.container.id, this.pid));
    this.#announceBefore(announced);
    await announced;
    return this.pid;
  }

  /** Describes a process to be started. @throws CaissonError CAISSON_E_ID_IN_USE. */
  addExec(execId: string, spec: Process, stdio: StdioPaths): void {
    if (this.#execs.has(execId)) {
      throw new CaissonError("CAISSON_E_ID_IN_USE", `container ${this.container.id} has a process ${execId} already`);
    }
    this.#execs.set(execId, new ExecEntry(execId, spec, stdio));
    this.#events.execAdded(this.container.id, execId);
  }

  /** Resolves with how the process ended. */
  wait(execId: string): Promise<Exit> {
    return execId === "" ? this.ended : this.#exec(execId).ended;
  }

  async kill(signal: number, execId: string, all: boolean): Promise<void> {
    const { status } = this.state(execId);
    const name = execId === "" ? `container ${this.container.id}` : `process ${execId}`;
    // Engines take this for "there is nothing left to kill".
    if (status === Status.STOPPED) throw new CaissonError("CAISSON_E_NOT_FOUND", `${name}: process already finished`);
    if (execId !== "" && status === Status.CREATED) {
      throw new CaissonError("CAISSON_E_STATE", `${name} has not been started`);
    }
    try {
      await this.container.kill(signal, { all, execId: execId || undefined });
    } catch (cause) {
      if (!(cause instanceof CaissonError) || cause.code !== "CAISSON_E_STATE") throw cause;
      throw new CaissonError("CAISSON_E_NOT_FOUND", `${name}: process already finished`, { cause });
    }
  }

  async resize(window: WindowSize, execId: string): Promise<void> {
    if (execId === "") await this.container.resize(window);
    else await this.#exec(execId).resize(this.container, window);
  }

  closeInput(execId: string): void {
    if (execId === "") this.#streams.input.letEnd();
    else this.#exec(execId).closeInput();
  }

  /** The ids of the processes that Exec added, by their pids in the guest. */
  execIds(): Map<number, string> {
    return new Map([...this.#execs.values()].map(({ pid, id }) => [pid, id]));
  }

  /** Forgets a process that has ended or was never started. @returns its pid and how it ended. */
  removeExec(execId: string): { pid: number; exit: Exit | undefined } {
    const entry = this.#exec(execId);
    if (entry.phase === "running" || entry.phase === "starting") {
      throw new CaissonError("CAISSON_E_STATE", `process ${execId} cannot be removed: it is ${entry.phase}`);
    }
    this.#execs.delete(execId);
    this.container.forget(execId);
    entry.remove();
    return entry;
  }

  /** The kernel's OOM killer has killed in the container. */
  tellOom(): void {
    this.#oomTold = true;
    this.#events.oom(this.container.id, this.bundle);
  }

  async #startExec(entry: ExecEntry): Promise<number> {
    const { id } = this.container;
    const process = await entry.start(this.container, this.#namespace);
    this.#events.execStarted(id, entry.id, process.pid);
    this.#announceBefore(entry.ended.then((exit) => this.#events.exited(id, entry.id, process.pid, exit)));
    return process.pid;
  }

  /** The container's own end is announced after this. */
  #announceBefore(announcement: Promise<unknown>): void {
    const settled = announcement.catch(() => {});
    this.#announced.add(settled);
    void settled.then(() => this.#announced.delete(settled));
  }

  async #follow(): Promise<Exit> {
    const exit = await this.container.init.exit;
    await deadline(Promise.all(this.#announced), EXECS_LIMIT_MS);
    this.#exit = exit;
    if (exit.oomKilled && !this.#oomTold) this.tellOom();
    this.#events.exited(this.container.id, this.container.id, this.pid, exit);
    return exit;
  }

  #exec(execId: string): ExecEntry {
    const entry = this.#execs.get(execId);
    if (entry !== undefined) return entry;
    throw new CaissonError("CAISSON_E_NOT_FOUND", `container ${this.container.id} has no process ${execId}`);
  }
}
