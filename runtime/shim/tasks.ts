import { CaissonError } from "../../protocol/errors.ts";
import { Metrics } from "../../protocol/generated/containerd/metrics.ts";
import { ProcessDetails } from "../../protocol/generated/containerd/options.ts";
import type {
  CreateTaskRequest,
  DeleteRequest,
  DeleteResponse,
  ExecProcessRequest,
  PidsResponse,
  StateRequest,
  StateResponse,
  StatsResponse,
  UpdateTaskRequest,
  WaitRequest,
  WaitResponse,
} from "../../protocol/generated/containerd/task.ts";
import type { Exit } from "../guest/exit-status.ts";
import { requireAllowed } from "../guest/lifecycle.ts";
import { rememberFailure } from "../metrics/totals.ts";
import { validateProcess, validateResources } from "../oci/validate.ts";
import { codeOf, formatError } from "../text/errors.ts";
import { packAny, timestamp, unpackOci } from "./any.ts";
import { toMetrics } from "./metrics.ts";
import { sumMetrics } from "./metrics-sum.ts";
import type { ShimPod } from "./pod.ts";
import type { Publisher } from "./publisher.ts";
import type { ShimSandbox } from "./sandbox.ts";
import { Task } from "./task.ts";
import { TaskEvents } from "./task-events.ts";
import { openStdio } from "./task-io.ts";

export interface TasksOptions {
  pod: ShimPod;
  /** The one that containerd has made for them, if it has. */
  sandbox: ShimSandbox;
  namespace: string;
  publisher: Publisher;
}

/** The tasks of one pod. */
export class Tasks {
  readonly #options: TasksOptions;
  readonly #events: TaskEvents;
  readonly #tasks = new Map<string, Task>();
  readonly #creating = new Map<string, { abort: AbortController; done: Promise<Task> }>();

  constructor(options: TasksOptions) {
    this.#options = options;
    this.#events = new TaskEvents(options.publisher);
    options.pod.onOom = (containerId) => this.#tasks.get(containerId)?.tellOom();
  }

  get empty(): boolean {
    return this.#tasks.size === 0 && this.#creating.size === 0;
  }

  /** @throws CaissonError CAISSON_E_NOT_FOUND. */
  get(id: string): Task {
    const task = this.#tasks.get(id);
    if (task === undefined) throw new CaissonError("CAISSON_E_NOT_FOUND", `there is no container ${id}`);
    return task;
  }

  /** The container's pid on the host; 0 for one that is not there. */
  pidOf(id: string): number {
    return this.#tasks.get(id)?.pid ?? 0;
  }

  /**
   * Creates a container up to where it waits to be started. @returns its pid.
   * @param caller aborts when whoever wants it has gone: nobody would start it, and a new containerd cannot know of it.
   */
  async create(request: CreateTaskRequest, caller: AbortSignal, traceparent?: string): Promise<number> {
    const { id } = request;
    if (this.#tasks.has(id) || this.#creating.has(id)) {
      throw new CaissonError("CAISSON_E_ID_IN_USE", `there is a container ${id} already`);
    }
    const abort = new AbortController();
    const done = this.#create(request, AbortSignal.any([abort.signal, caller]), traceparent);
    this.#creating.set(id, { abort, done });
    try {
      const task = await done;
      this.#tasks.set(id, task);
      return task.pid;
    } finally {
      this.#creating.delete(id);
    }
  }

  async #create(request: CreateTaskRequest, signal: AbortSignal, traceparent?: string): Promise<Task> {
    const { id, bundle, rootfs, terminal, stdin, stdout, stderr, checkpoint } = request;
    if (checkpoint !== "") throw noCheckpoints();
    const { sandbox, namespace } = this.#options;
    // Options that are wrong are told before anything is opened.
    this.#options.pod.open(request.options);
    const stdio = { stdin, stdout, stderr, terminal };
    const streams = await openStdio(stdio, { id, namespace }, signal);
    try {
      const complete = (document: unknown) => sandbox.complete(document);
      const wanted = { id, bundle, rootfs, io: streams.io, options: request.options, complete, traceparent, signal };
      const container = await this.#options.pod.create(wanted);
      this.#events.created({ containerId: id, bundle, rootfs, io: stdio, checkpoint, pid: container.pid });
      return new Task(container, { bundle, stdio, namespace }, streams, this.#events);
    } catch (error) {
      streams.discard();
      if (!signal.aborted) rememberFailure({ sandbox: id, code: codeOf(error), message: formatError(error) });
      throw error;
    }
  }

  /** Removes a process that has ended, or a container with all that is left of it. */
  async delete({ id, execId }: DeleteRequest): Promise<DeleteResponse> {
    await this.#abandon(id);
    const task = this.get(id);
    if (execId !== "") {
      const { pid, exit } = task.removeExec(execId);
      return { pid, exitStatus: exit?.exitCode ?? 0, exitedAt: exit && timestamp(exit.exitedAt) };
    }
    requireAllowed("delete", id, task.container.lifecycle, { remedy: "Kill it first." });
    await this.#options.pod.remove(task.own);
    const exit = await task.ended;
    this.#tasks.delete(id);
    this.#events.deleted(id, task.pid, exit);
    return { pid: task.pid, ...exitOf(exit) };
  }

  /** Whoever wanted a container that is still being created has gone, and cleans up. */
  async #abandon(id: string): Promise<void> {
    const creating = this.#creating.get(id);
    creating?.abort.abort(
      new CaissonError("CAISSON_E_STATE", `container ${id} was deleted while it was being created`),
    );
    await creating?.done.catch(() => {});
  }

  exec({ id, execId, terminal, stdin, stdout, stderr, spec }: ExecProcessRequest): void {
    const task = this.get(id);
    const process = validateProcess(unpackOci("Process", spec), "the process");
    task.addExec(execId, { ...process, terminal }, { stdin, stdout, stderr, terminal });
  }

  state({ id, execId }: StateRequest): StateResponse {
    const task = this.get(id);
    const { pid, status, stdio, exit } = task.state(execId);
    return {
      id: execId || id,
      bundle: task.bundle,
      pid,
      status,
      ...stdio,
      exitStatus: exit?.exitCode ?? 0,
      exitedAt: exit && timestamp(exit.exitedAt),
      execId,
    };
  }

  async wait({ id, execId }: WaitRequest): Promise<WaitResponse> {
    return exitOf(await this.get(id).wait(execId));
  }

  async pause(id: string): Promise<void> {
    await this.get(id).own.pause();
    this.#events.paused(id);
  }

  async resume(id: string): Promise<void> {
    await this.get(id).own.resume();
    this.#events.resumed(id);
  }

  async pids(id: string): Promise<PidsResponse> {
    const task = this.get(id);
    const { processes } = await task.container.processes();
    const execs = task.execIds();
    return {
      processes: processes.map(({ pid }) => {
        const execId = execs.get(pid);
        const info = execId && packAny("containerd.runc.v1.ProcessDetails", ProcessDetails, { execId });
        return { pid, info: info || undefined };
      }),
    };
  }

  async stats(id: string): Promise<StatsResponse> {
    const stats = await this.get(id).container.stats();
    return { stats: packAny("io.containerd.cgroups.v2.Metrics", Metrics, toMetrics(stats)) };
  }

  /** The metrics of all tasks together, and of the container that stands for their sandbox. */
  async measure(): Promise<Metrics> {
    const containers = [
      this.#options.sandbox.container?.container,
      ...[...this.#tasks.values()].map(({ container }) => container),
    ];
    const running = containers.filter((container) => container !== undefined && container.lifecycle !== "stopped");
    const stats = await Promise.all(running.map((container) => container?.stats()));
    return sumMetrics(stats.filter((each) => each !== undefined).map(toMetrics));
  }

  async update({ id, resources }: UpdateTaskRequest): Promise<void> {
    const task = this.get(id);
    const wanted = validateResources(unpackOci("LinuxResources", resources), "the resources");
    await task.own.update(wanted);
  }

  /** Ends the VM, if there is one. */
  async end(): Promise<void> {
    await this.#options.pod.opened?.end();
    await Promise.all([...this.#tasks.values()].map(({ ended }) => ended));
  }
}

/** Checkpoint, and Create from one. */
export function noCheckpoints(): CaissonError {
  return new CaissonError(
    "CAISSON_E_CONFIG_UNSUPPORTED",
    "containers cannot be checkpointed or restored: the VM's devices have no state that could be moved",
  );
}

function exitOf({ exitCode, exitedAt }: Exit): WaitResponse {
  return { exitStatus: exitCode, exitedAt: timestamp(exitedAt) };
}
