import { writeFileSync } from "node:fs";
import { addEntropy, clockSettime } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { CreateContainerRequest, CreateSandboxRequest, OomEvent } from "../../protocol/generated/agent.ts";
import { RUN_FOLDERS } from "../../protocol/guest-contract.ts";
import { checkId } from "../../protocol/id.ts";
import type { Spec } from "../../protocol/oci.ts";
import { Broadcast } from "../broadcast.ts";
import { Container } from "../container/container.ts";
import type { ContainerHost, Created } from "../container/host.ts";
import { Disks } from "../disks/disks.ts";
import { MemoryDemand } from "../growth/demand.ts";
import { FreePages } from "../growth/free-pages.ts";
import { MemorySteps } from "../growth/memory-steps.ts";
import { isLogLevel, log, setLogLevel } from "../log.ts";
import type { AgentPaths } from "../paths.ts";
import { Pool } from "../pool/pool.ts";
import { collectGarbage } from "./garbage.ts";
import { GuestProcesses } from "./guest-processes.ts";
import { HostSockets } from "./host-sockets.ts";
import { applyNetwork } from "./network.ts";
import { NetworkDevices } from "./network-devices.ts";
import { MountedShare } from "./share.ts";
import { SharedMemory } from "./shared-memory.ts";
import { Volumes } from "./volumes.ts";

/** What this guest's containers are part of before the host has said so: warm-up containers of a template. */
const UNNAMED = "caisson";

type Lifecycle =
  /** Booted, cloned or destroyed; nothing of a sandbox is set. Containers can run, without a share. */
  { status: "blank" } | { status: "created"; id: string };

/** What this guest is: its identity, its share and its containers. */
export class Sandbox implements ContainerHost {
  /** What the kernel's OOM killer does. */
  readonly oom = new Broadcast<OomEvent>();
  readonly paths: AgentPaths;
  readonly pool: Pool;
  readonly sockets: HostSockets;
  readonly volumes: Volumes;
  readonly disks = new Disks();
  readonly networkDevices = new NetworkDevices();
  readonly memorySteps = new MemorySteps();
  readonly memory = new MemoryDemand(this.memorySteps);
  /** The processes of the guest itself. */
  readonly processes: GuestProcesses;
  readonly #containers = new Map<string, Container>();
  #lifecycle: Lifecycle = { status: "blank" };
  #destroyed = Promise.withResolvers<void>();
  readonly #share: MountedShare;
  /** Resolves when the share is mounted, rejects with CAISSON_E_STORAGE. */
  #shared = Promise.resolve();
  /** Has the share mounted that waits for it. */
  #mountShare: () => void = () => {};
  readonly #sharedMemory: SharedMemory;
  /** The most that containers have used which are gone. */
  #formerPeak = 0;
  readonly #freePages = new FreePages(() =>
    Math.max(this.#formerPeak, ...[...this.#containers.values()].map(({ peakMemory }) => peakMemory)),
  );

  /** What is yet to be done before there is a container. */
  #beforeFirst: (() => void) | undefined;

  /** @param beforeFirst is called before the first container is made. */
  constructor(paths: AgentPaths, beforeFirst?: () => void) {
    this.paths = paths;
    this.#beforeFirst = beforeFirst;
    this.pool = new Pool(paths);
    this.sockets = new HostSockets(`${paths.runDirectory}/${RUN_FOLDERS.sockets}`);
    this.volumes = new Volumes(`${paths.runDirectory}/${RUN_FOLDERS.volumes}`);
    this.processes = new GuestProcesses(this.pool);
    this.#share = new MountedShare(`${paths.runDirectory}/${RUN_FOLDERS.share}`);
    this.#sharedMemory = new SharedMemory(`${paths.runDirectory}/${RUN_FOLDERS.sharedMemory}`);
  }

  get id(): string {
    return this.#lifecycle.status === "created" ? this.#lifecycle.id : UNNAMED;
  }

  /**
   * Makes the guest this sandbox, until `destroyed` resolves, but for the share. Throws CAISSON_E_STATE the second time.
   * @returns `mountShare`, to be called once the host knows: it prepares its first container meanwhile, which waits for the share.
   */
  create(request: CreateSandboxRequest): { destroyed: Promise<void>; mountShare: () => void } {
    if (this.#lifecycle.status !== "blank") {
      throw new CaissonError(
        "CAISSON_E_STATE",
        `the sandbox cannot be created: it is ${this.#lifecycle.status} already`,
      );
    }
    checkId("sandbox", request.sandboxId);
    // Random numbers first: until then every clone of a template draws the same ones.
    if (request.entropy.length > 0) addEntropy(request.entropy);
    if (request.realtimeNs > 0n) clockSettime(request.realtimeNs);
    if (isLogLevel(request.logLevel)) setLogLevel(request.logLevel);
    if (request.hostname !== "") writeFileSync("/proc/sys/kernel/hostname", request.hostname);
    if (request.networkRequests.length > 0) applyNetwork(request.networkRequests, 0);
    if (request.memoryGrowth !== undefined) this.memorySteps.allow(request.memoryGrowth);
    if (request.reportFreeMemory) this.#freePages.report();
    this.#lifecycle = { status: "created", id: request.sandboxId };
    log("info", `this is sandbox ${request.sandboxId}`);
    const { share } = request;
    const answered = Promise.withResolvers<void>();
    if (share !== undefined) {
      this.#shared = answered.promise.then(() => this.#share.mount(share));
      // The first container tells.
      this.#shared.catch(() => {});
    }
    this.#mountShare = answered.resolve;
    return { destroyed: this.#destroyed.promise, mountShare: answered.resolve };
  }

  /**
   * Kills and removes every container, and unmounts the share. Idempotent. The guest is blank again then,
   * with nothing left to do for itself: this is how a template is left.
   */
  async destroy(): Promise<void> {
    this.processes.end();
    this.#freePages.stop();
    this.#mountShare();
    await this.#shared.catch(() => {});
    await Promise.all([...this.#containers.keys()].map((id) => this.deleteContainer(id, true)));
    this.#share.unmount();
    this.#shared = Promise.resolve();
    this.#sharedMemory.remove();
    this.#lifecycle = { status: "blank" };
    this.#destroyed.resolve();
    this.#destroyed = Promise.withResolvers();
    await this.pool.prepare();
    collectGarbage();
  }

  async createContainer(request: CreateContainerRequest): Promise<Created> {
    const { containerId: id } = request;
    checkId("container", id);
    // Whoever asks has had the answer, whatever has become of its call: nothing is told of a write to one that has been cancelled.
    this.#mountShare();
    await this.#shared;
    if (this.#containers.has(id)) {
      throw new CaissonError("CAISSON_E_ID_IN_USE", `the container ${id} cannot be created: there is one with that id`);
    }
    this.#beforeFirst?.();
    this.#beforeFirst = undefined;
    const container = new Container(id, this);
    this.#containers.set(id, container);
    try {
      return await container.create(request);
    } catch (error) {
      this.#containers.delete(id);
      throw error;
    }
  }

  /** Throws CAISSON_E_NOT_FOUND. */
  container(id: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined) {
      throw new CaissonError("CAISSON_E_NOT_FOUND", `there is no container ${JSON.stringify(id)} in this sandbox`);
    }
    return container;
  }

  /** Removes a container; one that does not exist is removed already. Throws CAISSON_E_STATE as Container.delete(). */
  async deleteContainer(id: string, force: boolean): Promise<void> {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    this.#formerPeak = Math.max(this.#formerPeak, container.peakMemory);
    await container.delete(force);
    this.#containers.delete(id);
    this.#share.release([...this.#containers.values()].flatMap(({ sources }) => sources));
    // Whoever warms a template up saves it next, and its clones want a container-init that runs already.
    if (this.#lifecycle.status === "blank") this.pool.fill();
  }

  /** The init's pid of a container whose init lives. */
  ofContainer(id: string): number | undefined {
    return this.#containers.get(id)?.livePid;
  }

  /** The pids of the living containers' inits. */
  get inits(): number[] {
    return [...this.#containers.values()].flatMap(({ livePid }) => livePid ?? []);
  }

  /** Whether the pid is some living container's init. */
  isInit(pid: number): boolean {
    return [...this.#containers.values()].some((container) => container.livePid === pid);
  }

  /** Makes the memory that a container shares with others be there. Throws as SharedMemory.provide(). */
  provideSharedMemory({ mounts = [] }: Spec, bytes: bigint): void {
    if (bytes > 0n) this.#sharedMemory.provide(mounts, bytes);
  }
}
