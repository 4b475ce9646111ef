import { join } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import type { Event } from "../../protocol/generated/agent.ts";
import type { Resources, Spec } from "../../protocol/oci.ts";
import type { WindowSize } from "../../protocol/terminal.ts";
import { hostCgroupPath } from "../cgroup/cgroup.ts";
import { applyAnnotations, type Settings } from "../config/load.ts";
import { hostSize } from "../factory/vm-config.ts";
import type { Container } from "../guest/container.ts";
import { memoryExhausted } from "../guest/memory-exhausted.ts";
import type { ProcessIo } from "../guest/stdio/pump.ts";
import { countStart } from "../metrics/start-phases.ts";
import { rememberFailure } from "../metrics/totals.ts";
import type { Bundle } from "../oci/bundle.ts";
import { now } from "../process/clock.ts";
import { tracePhase } from "../process/trace.ts";
import type { StateRecord } from "../state/record.ts";
import { isDiskRootfs } from "../storage/disks/kinds.ts";
import { mountRootfs, type RootfsMount, unmountRootfs } from "../storage/rootfs-mounts.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { diedError } from "../vm/exit-reason.ts";
import { beginTrace } from "./begin-trace.ts";
import type { Guest } from "./guest.ts";
import { HostHooks } from "./hooks.ts";
import { PlaceholderProcess } from "./placeholder-process.ts";
import { Sandbox } from "./sandbox.ts";
import { podOf } from "./spec/cri-annotations.ts";
import { withCallersMounts } from "./spec/host-paths.ts";
import { BoundNamespaces } from "./spec/pod-namespaces.ts";
import { podSize } from "./spec/pod-size.ts";
import { readBundle } from "./spec/read-bundle.ts";

export interface PodOptions {
  id: string;
  settings: Settings;
  /** Mount point of what the guest sees, and the file for the last part of its serial console. */
  share: string;
  consoleLog: string;
  /** Called with what is about to be changed on the host, for whoever cleans up after this process. */
  record(changes: Pick<StateRecord, "network" | "poststop"> | Pick<StateRecord, "cgroup" | "cgroupFolders">): void;
  /** The kernel's OOM killer has killed in a container. */
  onOom(containerId: string): void;
}

export interface PodContainer {
  /** The bundle's directory. */
  bundle: string;
  /** To be mounted on its root file system's directory; none when that is there already. */
  rootfs: readonly RootfsMount[];
  io: ProcessIo;
  window?: WindowSize | undefined;
  /** W3C's, of the engine's call. */
  traceparent?: string | undefined;
  /** Changes the configuration before it is checked. */
  adapt?: ((document: unknown) => unknown) | undefined;
  /** Takes the creation back. */
  signal: AbortSignal;
}

interface Member {
  container: Container;
  bundle: Bundle;
  rootfs: readonly RootfsMount[];
  hooks: HostHooks;
  /** Stands for the container on the host, unless it is the pod's own, which this process stands for. */
  placeholder: PlaceholderProcess | undefined;
}

/**
 * Containers that share one VM. The first stands for the pod: the VM starts with it, and ends when it and all others
 * have. Needs a private mount namespace (storage/mount-namespace.ts).
 */
export class Pod {
  readonly #options: PodOptions;
  readonly #members = new Map<string, Member>();
  /** The ids of containers that are being created and have no Container yet. */
  readonly #creating = new Set<string>();
  readonly #bound = new BoundNamespaces();
  readonly #abort = new AbortController();
  #sandbox: Promise<Sandbox> | undefined;
  #main: string | undefined;
  #ended: Promise<void> | undefined;

  constructor(options: PodOptions) {
    this.#options = options;
  }

  /**
   * Creates a container up to where its init waits to be started; the first one starts the VM.
   * @throws CaissonError with whatever is wrong; nothing of the container is left then.
   */
  async create(
    id: string,
    { bundle: directory, rootfs, io, window, adapt, traceparent, signal }: PodContainer,
  ): Promise<Container> {
    signal.throwIfAborted();
    this.#reserve(id);
    await using undo = new AsyncDisposableStack();
    undo.defer(() => void this.#creating.delete(id));
    const rootfsDirectory = join(directory, "rootfs");
    const rootfsDisks = isDiskRootfs(rootfs) ? rootfs : undefined;
    if (rootfsDisks === undefined) mountRootfs(rootfsDirectory, rootfs);
    undo.defer(() => unmountRootfs(rootfsDirectory, rootfs));
    const containerOf = (pid: number) => this.#containerOf(pid);
    const bound = { namespaces: this.#bound, id };
    const bundle = readBundle(directory, { containerOf, bound, complete: adapt });
    for (const warning of bundle.warnings) log.warning(warning);
    const { config } = bundle;
    const hooks = new HostHooks(config.hooks, { id, bundle: directory, annotations: config.annotations });
    undo.defer(() => hooks.poststop());
    if (this.#main === undefined) {
      this.#main = id;
      countStart();
      const asked = { id, name: "shim: create", askedMs: Date.now(), traceparent };
      const traced = beginTrace(this.#options.settings, asked);
      undo.defer(() => this.end());
      const prepare = () => hooks.create(AbortSignal.any([signal, this.#abort.signal]));
      this.#sandbox = traced.then(() => this.#start(config, prepare, signal));
    } else {
      await hooks.create(signal);
    }
    const sandbox = await this.#sandbox;
    if (sandbox === undefined)
      throw new CaissonError("CAISSON_E_STATE", `the sandbox of container ${id} has not started`);
    const createContainer = (found: Spec, foundRootfs: string) => {
      const parts = { spec: found, directory: bundle.bundle, rootfs: foundRootfs, rootfsDisks };
      return sandbox.guest.createContainer(id, parts, io, window);
    };
    const paths = { spec: config, rootfs: bundle.rootfs, ownRootfs: rootfs.length > 0, directory };
    const creating = now();
    const container = await (id === this.#main
      ? createContainer(config, bundle.rootfs)
      : withCallersMounts(paths, this.#options.share, createContainer));
    tracePhase("create container", creating);
    undo.defer(() => this.#discard(container));
    signal.throwIfAborted();
    const placeholder = id === this.#main ? undefined : new PlaceholderProcess();
    this.#members.set(id, { container, bundle, rootfs, hooks, placeholder });
    undo.move();
    this.#creating.delete(id);
    void container.init.exit.then(() => this.#endIfOver());
    return container;
  }

  /** Its VM with the agent; undefined while there is none. */
  get guest(): Promise<Guest | undefined> {
    return Promise.resolve(this.#sandbox).then(
      (sandbox) => sandbox?.guest,
      () => undefined,
    );
  }

  /** The pid that stands for a container on the host; each has its own. */
  pidOf(id: string): number {
    return this.#members.get(id)?.placeholder?.pid ?? process.pid;
  }

  /** Lets a container's init go; resolves when its poststart hooks have run. Throws as Container.start and they do. */
  async start(id: string): Promise<void> {
    const member = this.#members.get(id);
    if (member === undefined) throw new CaissonError("CAISSON_E_NOT_FOUND", `there is no container ${id}`);
    await member.container.start();
    if (id === this.#main && isPods(member.bundle.config)) void this.ready();
    await member.hooks.poststart(member.container);
  }

  /** The network is there: engines may connect to what listens on its loopback. A pod without that is still a pod. */
  async ready(): Promise<void> {
    const sandbox = await this.#sandbox;
    await sandbox?.guest.lendLoopback().catch((error: unknown) => {
      if (this.#ended === undefined) log.warning(`ports cannot be forwarded: ${formatError(error)}`);
    });
  }

  /** Changes a container's limits; what is not named stays. */
  async update(container: Container, resources: Resources): Promise<void> {
    const sandbox = await this.#sandbox;
    if (container.id === this.#main && !isPods(container.spec)) sandbox?.cgroup.limit(resources);
    await sandbox?.guest.update(container, resources);
  }

  /** Removes a container, killing what is left of it. Does nothing for one that is not there. */
  async remove(id: string): Promise<void> {
    const member = this.#members.get(id);
    if (member === undefined) return;
    const { container, bundle, rootfs, hooks, placeholder } = member;
    const others = [...this.#members.values()].filter((other) => other !== member);
    const othersRun = this.#creating.size > 0 || others.some((other) => other.container.lifecycle !== "stopped");
    hooks.abort();
    // Without others what is still in the guest goes with it.
    if (!othersRun) await this.end();
    else await this.#discard(container).catch((error: unknown) => log.error(formatError(error)));
    this.#members.delete(id);
    placeholder?.end();
    unmountRootfs(join(bundle.bundle, "rootfs"), rootfs);
    await hooks.poststop();
  }

  /** Ends the VM and releases what the pod held on the host. May be called again. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    this.#abort.abort(new CaissonError("CAISSON_E_STATE", `the sandbox ${this.#options.id} is being ended`));
    const sandbox = await this.#sandbox?.catch(() => undefined);
    // The placeholders are in the sandbox's cgroup, and stand for nobody any more.
    for (const { placeholder } of this.#members.values()) placeholder?.end();
    await sandbox?.end();
  }

  async #discard(container: Container): Promise<void> {
    await container.delete();
    const sandbox = await this.#sandbox;
    await sandbox?.guest.removeContainer(container.id);
  }

  async #start(config: Spec, prepare: () => Promise<void>, creation: AbortSignal): Promise<Sandbox> {
    const { id, share, consoleLog, record } = this.#options;
    const settings = applyAnnotations(this.#options.settings, config.annotations);
    const cgroup = hostCgroupPath(id, config.linux?.cgroupsPath);
    const size = podSize(config, settings, hostSize());
    const sandbox = await Sandbox.start({
      id,
      config,
      settings,
      size,
      cgroup,
      limits: isPods(config) ? undefined : config.linux?.resources,
      share,
      consoleLog,
      onCgroup: (cgroupFolders) => record({ cgroup, cgroupFolders }),
      onNetwork: (network) => record({ network, poststop: config.hooks?.poststop }),
      prepare,
      signal: AbortSignal.any([creation, this.#abort.signal]),
    });
    this.#follow(sandbox.guest);
    return sandbox;
  }

  #follow({ agent, died, memoryMib }: Guest): void {
    const events = agent.watchEvents();
    events.on("error", () => {});
    events.on("data", ({ event }: Event) => {
      // The guest's word: believed only about containers that are there.
      if (event?.$case === "oom" && this.#members.has(event.value.containerId)) {
        const { containerId, guestMemoryExhausted } = event.value;
        if (guestMemoryExhausted)
          log.error(`Container ${containerId} is out of memory: ${memoryExhausted(memoryMib)}.`);
        this.#options.onOom(containerId);
      }
    });
    void died.then((death) => {
      if (death.reason === "killed") return;
      const { code, message } = diedError(`sandbox ${this.#options.id} is lost`, death);
      log.error(message);
      rememberFailure({ sandbox: this.#options.id, code, message });
    });
  }

  #reserve(id: string): void {
    if (this.#members.has(id) || this.#creating.has(id)) {
      throw new CaissonError("CAISSON_E_ID_IN_USE", `there is a container ${id} in this sandbox already`);
    }
    if (this.#ended !== undefined) {
      throw new CaissonError("CAISSON_E_STATE", `container ${id} cannot be created: its sandbox has ended`);
    }
    this.#creating.add(id);
  }

  #containerOf(pid: number): string | undefined {
    return [...this.#members.keys()].find((id) => this.pidOf(id) === pid);
  }

  async #endIfOver(): Promise<void> {
    const over = [...this.#members.values()].every(({ container }) => container.lifecycle === "stopped");
    if (over && this.#creating.size === 0) await this.end();
  }
}

/** Whether the container is a pod's, whose own container has limits of its own; the cgroup's limits are the engine's affair. */
function isPods({ annotations }: Spec): boolean {
  return podOf(annotations) !== undefined;
}
