import { closeSync } from "node:fs";
import { dirname } from "node:path";
import { realtime } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type {
  CreateContainerRequest,
  ExecProcessRequest,
  ProcessExit,
  ProcessInfo,
  SeccompFilter,
  SignalProcessRequest,
  StatsResponse,
} from "../../protocol/generated/agent.ts";
import { checkId } from "../../protocol/id.ts";
import type { ContainerStatus, Process as ProcessConfig, Resources, Spec } from "../../protocol/oci.ts";
import { Cgroup } from "../cgroups/cgroup.ts";
import { freeze, thaw } from "../cgroups/freezer.ts";
import { NOT_KILLED, OomWatch } from "../cgroups/oom-watch.ts";
import { cgroupPath } from "../cgroups/path.ts";
import { resourceSettings } from "../cgroups/resources.ts";
import { signalAll } from "../cgroups/signal-all.ts";
import { readStats } from "../cgroups/stats.ts";
import { compileCreate, compileExec } from "../plan/plan.ts";
import { inCgroup } from "./exec-cgroup.ts";
import { Execs } from "./execs.ts";
import { GivenDevices } from "./given-devices.ts";
import type { ContainerHost, Created } from "./host.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { withResolvedNamespaces } from "./namespaces.ts";
import { openNetwork, stateJson } from "./oci-state.ts";
import { parse } from "./parse.ts";
import { Process } from "./process.ts";
import { bootTimeNs, describeProcess } from "./process-info.ts";

const MAX_SIGNAL = 64;

/** A container: its cgroup, its init process and the processes that exec added. */
export class Container {
  readonly id: string;
  readonly #sandbox: ContainerHost;
  readonly #execs = new Execs();
  /** Settles when CreateContainer is done, either way. */
  readonly #creation = Promise.withResolvers<void>();
  #lifecycle: Lifecycle = { status: "creating" };
  #config: Spec = { ociVersion: "" };
  /** On the host. */
  #bundle = "";
  /** For the processes that exec adds, too. */
  #seccomp: SeccompFilter | undefined;
  #cgroup: Cgroup | undefined;
  #devices = GivenDevices.none;
  #oomWatch: OomWatch | undefined;
  /**
   * Keeps the network namespace until the container is removed: the kernel takes long to dismantle one, and would do so
   * just when the host waits to hear of the container's end.
   */
  #network: number | undefined;
  #exit: Promise<ProcessExit> | undefined;

  constructor(id: string, sandbox: ContainerHost) {
    this.id = id;
    this.#sandbox = sandbox;
  }

  /** The pid of its init, while that lives. */
  get livePid(): number | undefined {
    const lifecycle = this.#lifecycle;
    if (lifecycle.status === "creating" || lifecycle.status === "stopped") return undefined;
    return lifecycle.init.exit === undefined ? lifecycle.init.pid : undefined;
  }

  /** What of the guest's files it is made of: its root file system, and what its mounts show. */
  get sources(): string[] {
    const { root, mounts = [] } = this.#config;
    return [root?.path, ...mounts.map(({ source }) => source)].filter((path) => path !== undefined);
  }

  /** The most memory that it has used, bytes. */
  get peakMemory(): number {
    return Number(this.#cgroup?.read("memory.peak") ?? 0);
  }

  /** Sets it up as far as OCI "created", or "running"; answers with the init's pid, and how long that took. On failure nothing of it is left. */
  async create(request: CreateContainerRequest): Promise<Created> {
    const { configJson, seccomp, bundle, sharedMemoryBytes, noStdin, start } = request;
    const { oom, memory } = this.#sandbox;
    try {
      this.#devices = await GivenDevices.take(this.#sandbox.disks, request);
      const given = this.#devices.inConfig(parse(configJson, "the container's configuration") as Spec);
      const { config, descriptor } = this.#sandbox.pool.network.take(withResolvedNamespaces(given, this.#sandbox));
      this.#network = descriptor;
      const { process, root } = config;
      this.#sandbox.provideSharedMemory(config, sharedMemoryBytes);
      this.#config = config;
      this.#seccomp = seccomp;
      this.#bundle = bundle;
      const cgroup = this.#createCgroup(config);
      this.#oomWatch = new OomWatch(cgroup, this.id, oom, () => memory.look(cgroup));
      memory.follow(cgroup);
      const { createContainer = [], startContainer = [] } = config.hooks ?? {};
      const waits = start === undefined || startContainer.length > 0 || request.passedDevices.length > 0;
      const rootfs = root?.path ?? "";
      const plan = compileCreate({ ...request, config, rootfs, cgroupPath: cgroup.path, starts: !waits });
      const terminal = process?.terminal === true;
      const state =
        createContainer.length > 0
          ? (pid: number) => this.#stateJson("creating", pid, dirname(root?.path ?? "/"))
          : undefined;
      const client = this.#sandbox.pool.take();
      const initBegunNs = realtime();
      const init = await Process.launch(`container ${this.id}`, client, plan, terminal, state);
      const initReachedNs = realtime();
      if (noStdin) init.input.end();
      this.#devices.joinNetwork(init.pid);
      this.#lifecycle = { status: waits ? "created" : "running", init };
      if (waits) this.#network ??= openNetwork(init.pid);
      this.#exit = this.#finish(init, cgroup);
      if (waits && start !== undefined) await this.start();
      return { pid: init.pid, initBegunNs, initReachedNs };
    } catch (error) {
      this.#lifecycle = { status: "stopped", init: undefined };
      // What is left of the process may still be on its way out, and a cgroup with processes cannot be removed.
      await this.#cgroup?.kill();
      await this.#devices.settle();
      this.#letGo();
      throw error;
    } finally {
      this.#creation.resolve();
    }
  }

  /** Lets the init go; throws CAISSON_E_STATE unless created, and the failed step's error when it cannot run. */
  async start(): Promise<void> {
    const { init } = this.#require("started", ["created"]);
    this.#lifecycle = { status: "running", init };
    const hooks = (this.#config.hooks?.startContainer ?? []).length > 0;
    await init.proceed(hooks ? this.#stateJson("created", init.pid, this.#bundle) : "");
  }

  /** Adds a process; answers with its pid once its program runs. */
  async exec(request: ExecProcessRequest): Promise<number> {
    const { process: id, processJson, rows, columns, keepNewlines, noStdin } = request;
    const execId = id?.execId ?? "";
    checkId("process", execId);
    const { init } = this.#require("joined by a process", ["created", "running", "paused"]);
    const process = parse(processJson, "the process") as ProcessConfig;
    const name = `process ${execId} of container ${this.id}`;
    const { cgroupRoot: root } = this.#sandbox.paths;
    const joined = { cgroup: this.#cgroup, root, told: request.cgroup, initPid: init.pid };
    const launch = (cgroupPath: string) => {
      const from = { process, config: this.#config, initPid: init.pid, cgroupPath, rows, columns, keepNewlines };
      const plan = compileExec({ ...from, seccomp: this.#seccomp, noStdin });
      return Process.launch(name, this.#sandbox.pool.take(), plan, process.terminal === true);
    };
    const added = await this.#execs.add(execId, name, () => inCgroup(joined, launch));
    if (noStdin) added.input.end();
    return added.pid;
  }

  /** The init for an empty id, else a process that exec added. Throws CAISSON_E_NOT_FOUND. */
  process(execId: string): Process {
    const { init } = this.#lifecycle;
    const process = execId === "" ? init : this.#execs.get(execId);
    if (process === undefined) {
      throw new CaissonError("CAISSON_E_NOT_FOUND", `container ${this.id} has no process ${JSON.stringify(execId)}`);
    }
    return process;
  }

  /** Sends a signal to one process, or to all of them. Throws CAISSON_E_STATE when the addressee has ended. */
  async signal({ process: id, signal, all }: SignalProcessRequest): Promise<void> {
    if (signal > MAX_SIGNAL) {
      throw new CaissonError("CAISSON_E_USAGE", `there is no signal ${signal}; they go from 1 to ${MAX_SIGNAL}`);
    }
    if (!all) {
      this.process(id?.execId ?? "").signal(signal);
      return;
    }
    const cgroup = this.#requireCgroup("signalled");
    await signalAll(cgroup, signal, this.#lifecycle.status === "paused");
  }

  /** Answers when the process has ended; for the init, when everything of the container has. */
  async wait(execId: string): Promise<ProcessExit> {
    if (execId === "" && this.#exit !== undefined) return this.#exit;
    const process = this.process(execId);
    const { exitCode, signal } = await process.exited;
    const { endedAtNs } = process;
    return { exitCode, signal, exitedAtNs: endedAtNs, ...(this.#oomWatch?.answer() ?? NOT_KILLED) };
  }

  async pause(): Promise<void> {
    const { init } = this.#require("paused", ["running"]);
    await freeze(this.#requireCgroup("paused"));
    this.#lifecycle = init.exit === undefined ? { status: "paused", init } : { status: "stopped", init };
  }

  async resume(): Promise<void> {
    const { init } = this.#require("resumed", ["paused"]);
    await thaw(this.#requireCgroup("resumed"));
    this.#lifecycle = init.exit === undefined ? { status: "running", init } : { status: "stopped", init };
  }

  /** Changes limits; what the resources do not name stays. */
  update(resourcesJson: Uint8Array): void {
    const cgroup = this.#requireCgroup("updated");
    this.#require("updated", ["created", "running", "paused"]);
    const resources = this.#devices.inResources(parse(resourcesJson, "the resources") as Resources);
    cgroup.apply(resourceSettings(resources, (file) => cgroup.read(file)));
    if (resources.devices !== undefined) cgroup.restrictDevices(resources.devices);
    if (resources.unified?.["memory.high"] !== undefined) this.#sandbox.memory.forget(cgroup);
    this.#sandbox.memory.follow(cgroup);
  }

  processes(): ProcessInfo[] {
    const cgroup = this.#requireCgroup("listed");
    const bootNs = bootTimeNs();
    return cgroup.processes().flatMap((pid) => describeProcess(pid, bootNs) ?? []);
  }

  stats(): StatsResponse {
    return readStats(this.#requireCgroup("measured"));
  }

  /** Removes what is left of it; with `force` kills it first. Throws CAISSON_E_STATE while it lives and without force. */
  async delete(force: boolean): Promise<void> {
    if (force) {
      await this.#creation.promise;
      await this.#cgroup?.kill();
      await this.#exit;
    } else {
      this.#require("deleted", ["stopped"]);
    }
    this.#execs.close();
    this.#lifecycle.init?.close();
    this.#letGo();
  }

  #createCgroup(config: Spec): Cgroup {
    const { cgroupsPath, resources = {} } = config.linux ?? {};
    const { id, paths, pool } = this.#sandbox;
    const path = cgroupPath(cgroupsPath, id, this.id);
    const cgroup = pool.cgroup.take(config) ?? Cgroup.create(paths.cgroupRoot, path);
    this.#cgroup = cgroup;
    cgroup.apply(resourceSettings(resources, (file) => cgroup.read(file)));
    cgroup.restrictDevices(resources.devices ?? []);
    return cgroup;
  }

  #letGo(): void {
    if (this.#network !== undefined) closeSync(this.#network);
    this.#network = undefined;
    this.#oomWatch?.close();
    if (this.#cgroup !== undefined) this.#sandbox.memory.forget(this.#cgroup);
    this.#cgroup?.remove(this.#sandbox.paths.cgroupRoot);
    this.#cgroup = undefined;
    this.#devices.remove();
    this.#devices = GivenDevices.none;
  }

  /** What is told of the init's end, after everything it promises has been done. */
  async #finish(init: Process, cgroup: Cgroup): Promise<ProcessExit> {
    const { exitCode, signal } = await init.exited;
    // Without a pid namespace of its own the container's other processes outlive the init.
    await cgroup.kill();
    await this.#devices.settle();
    this.#lifecycle = { status: "stopped", init };
    init.release();
    return { exitCode, signal, exitedAtNs: init.endedAtNs, ...(this.#oomWatch?.answer() ?? NOT_KILLED) };
  }

  #require<S extends Lifecycle["status"]>(what: string, statuses: readonly S[]): Extract<Lifecycle, { status: S }> {
    const lifecycle = this.#lifecycle;
    if ((statuses as readonly string[]).includes(lifecycle.status)) {
      return lifecycle as Extract<Lifecycle, { status: S }>;
    }
    const must = statuses.join(" or ");
    throw new CaissonError(
      "CAISSON_E_STATE",
      `container ${this.id} cannot be ${what}: it is ${lifecycle.status}, and must be ${must}`,
    );
  }

  #requireCgroup(what: string): Cgroup {
    if (this.#cgroup !== undefined && this.#lifecycle.status !== "creating") return this.#cgroup;
    throw new CaissonError("CAISSON_E_STATE", `container ${this.id} cannot be ${what}: it is not set up`);
  }

  #stateJson(status: ContainerStatus, pid: number, bundle: string): string {
    return stateJson(this.#config, { id: this.id, status, pid, bundle });
  }
}
