import { CaissonError } from "../../protocol/errors.ts";
import type { Spec } from "../../protocol/oci.ts";
import { applyAnnotations, type Settings } from "../config/load.ts";
import type { Container } from "../guest/container.ts";
import { rememberFailure } from "../metrics/totals.ts";
import type { SeccompFilter } from "../oci/seccomp.ts";
import { now } from "../process/clock.ts";
import { startIsOver } from "../process/spans.ts";
import { tracePhase } from "../process/trace.ts";
import type { ContainerRecord } from "../state/container-record.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { diedError } from "../vm/exit-reason.ts";
import { beginTrace, mayTrace } from "./begin-trace.ts";
import type { ContainerRequest } from "./container-request.ts";
import type { Guest } from "./guest.ts";
import { watchOom } from "./oom.ts";
import { PodContainer } from "./pod-container.ts";
import { Sandbox } from "./sandbox.ts";
import { podOf } from "./spec/cri-annotations.ts";
import { compileFilter } from "./spec/filter.ts";

/**
 * How long after the start of the container that holds a pod's namespaces the pod's loopback is lent: the guest has the start of the pod's
 * first container to do meanwhile, and before that nobody listens.
 */
const LEND_AFTER_MS = 300;

export interface PodOptions {
  id: string;
  /** The host's; annotations of the first container are applied to them. */
  settings: Settings;
  /** Mount point of what the guest sees, and the file for the last part of its serial console. */
  share: string;
  consoleLog: string;
  /** When the VM ends: with its first container, whose end ends the others, or once all containers have ended. */
  ends: "with the first" | "with the last";
  /** Whether this process outlives its container, if that is the first, and so has to leave its cgroup. */
  leavesCgroup?: boolean;
  /** Whether the VM is one container's own: of its size, with its limits on the host. @param config of the first. */
  isOwn(config: Spec): boolean;
  /** What is about to be changed on the host is on record there, for whoever cleans up after this process. */
  record: ContainerRecord;
  /** Called when the kernel's OOM killer has killed in a container. */
  onOom?(containerId: string): void;
  /** Whether engines connect to what listens on the sandbox's loopback, as Kubernetes forwards ports. */
  lendsLoopback?: boolean;
}

/** What a VM is started for. */
interface FirstContainer extends Pick<ContainerRequest, "asked" | "signal"> {
  config: Spec;
  cgroup: string;
}

/**
 * Containers that share one VM; one on its own is a pod of one. The VM starts with the first. Needs a private mount namespace
 * (storage/mount-namespace.ts).
 */
export class Pod {
  readonly #options: PodOptions;
  readonly #containers = new Map<string, PodContainer>();
  /** The ids of containers that are being created. */
  readonly #creating = new Set<string>();
  readonly #abort = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  /** Undefined before the first container is asked for, or expected. */
  #started: { first: string; sandbox: Promise<Sandbox> } | undefined;
  /** The first container has not been asked for yet. */
  #isExpecting = false;
  #ended: Promise<void> | undefined;

  constructor(options: PodOptions) {
    this.#options = options;
  }

  /**
   * Creates a container up to where its init waits to be started; the first one starts the VM.
   * @throws CaissonError with whatever is wrong; nothing of the container is left in the VM then.
   */
  async create(request: ContainerRequest): Promise<PodContainer> {
    const { id, signal } = request;
    signal.throwIfAborted();
    this.#reserve(id);
    const isFirst = this.isNew;
    try {
      return await this.#create(request, isFirst);
    } catch (error) {
      if (isFirst) {
        startIsOver(formatError(error));
        await this.end();
      }
      throw error;
    } finally {
      this.#creating.delete(id);
      void this.#endIfOver();
    }
  }

  /** Whether no container has been asked for yet: the next one is the first. */
  get isNew(): boolean {
    return this.#started === undefined || this.#isExpecting;
  }

  /**
   * Starts the VM for a container that is about to be asked for with this configuration: create() tells what has gone wrong. Does nothing
   * where a start has to wait for what comes with the request, its trace, or for the container's hooks.
   * @param cgroup of the host.
   */
  expect(id: string, config: Spec, cgroup: string): void {
    if (config.hooks !== undefined || mayTrace(applyAnnotations(this.#options.settings, config.annotations))) return;
    const sandbox = this.#start({ config, cgroup, signal: this.#abort.signal }, async () => {});
    sandbox.catch(() => {});
    this.#started = { first: id, sandbox };
    this.#isExpecting = true;
  }

  /** Its VM with the agent; undefined while there is none. */
  get guest(): Promise<Guest | undefined> {
    return Promise.resolve(this.#started?.sandbox).then(
      (sandbox) => sandbox?.guest,
      () => undefined,
    );
  }

  /** Resolves when the VM has ended, and what the pod held on the host is released. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** The container that engines know by this pid. */
  containerOf(pid: number): string | undefined {
    return [...this.#containers.values()].find((each) => each.pid === pid)?.container.id;
  }

  /** The network is there: engines may connect to what listens on its loopback. A pod without that is still a pod. */
  async ready(): Promise<void> {
    const sandbox = await this.#started?.sandbox;
    await sandbox?.guest.network.lendLoopback().catch((error: unknown) => {
      if (this.#ended === undefined) log.warning(`ports cannot be forwarded: ${formatError(error)}`);
    });
  }

  /** Ends the VM and releases what the pod held on the host. May be called again. */
  end(): Promise<void> {
    this.#ended ??= this.#end().finally(() => this.#over.resolve());
    return this.#ended;
  }

  async #create(request: ContainerRequest, isFirst: boolean): Promise<PodContainer> {
    const { id, bundle, rootfsDisks, host, hooks, record, starts, signal } = request;
    const { config } = bundle;
    let seccomp: Promise<SeccompFilter | undefined> | undefined;
    const prepare = async (limit: AbortSignal): Promise<void> => {
      await host.prepare(hooks, limit);
      seccomp = compileFilter(config);
      // The filter is waited for later than the VM, which may fail first.
      seccomp.catch(() => {});
    };
    if (this.#isExpecting) signal.addEventListener("abort", () => this.#abort.abort(signal.reason), { once: true });
    this.#isExpecting = false;
    if (this.#started !== undefined) await prepare(signal);
    const { asked } = request;
    const cgroup = host.cgroup ?? this.#options.record.state.cgroup;
    this.#started ??= { first: id, sandbox: this.#start({ config, cgroup, asked, signal }, prepare) };
    const sandbox = await this.#started.sandbox;
    const creating = now();
    const { io, window } = request.streams();
    const files = { spec: config, rootfs: bundle.rootfs, directory: bundle.bundle };
    const { guest } = sandbox;
    const container = await host.withFiles(files, this.#options.share, ({ spec, rootfs, directory: foundAt }) => {
      const parts = {
        spec,
        rootfs,
        directory: bundle.bundle,
        foundAt,
        rootfsDisks,
        starts,
        ...(seccomp && { seccomp }),
      };
      return guest.createContainer(id, parts, io, window);
    });
    try {
      signal.throwIfAborted();
      record?.write({ status: "created", guestPid: container.init.pid });
    } catch (error) {
      // With the first one its VM goes.
      if (!isFirst) await discard(guest, container);
      throw error;
    }
    host.created(guest, id);
    tracePhase("create container", creating);
    const isOwn = isFirst && this.#options.isOwn(config);
    const lends = isFirst && this.#options.lendsLoopback === true && podOf(config.annotations) !== undefined;
    const created = new PodContainer({
      guest,
      container,
      host,
      hooks,
      record,
      limit: (resources) => isOwn && sandbox.cgroup.limit(resources),
      started: () => lends && setTimeout(() => void this.ready(), LEND_AFTER_MS).unref(),
      remove: () => this.#remove(id),
    });
    this.#containers.set(id, created);
    void created.ended.then(() => this.#endIfOver());
    return created;
  }

  async #start(
    { config, cgroup, asked, signal }: FirstContainer,
    prepare: (limit: AbortSignal) => Promise<void>,
  ): Promise<Sandbox> {
    const { id, share, consoleLog, record } = this.#options;
    const isOwn = this.#options.isOwn(config);
    const settings = applyAnnotations(this.#options.settings, config.annotations);
    if (asked !== undefined) await beginTrace(settings, asked);
    const limit = AbortSignal.any([signal, this.#abort.signal]);
    const options = { id, config, settings, isOwn, cgroup, share, consoleLog, record, signal: limit };
    const sandbox = await Sandbox.start({ ...options, prepare: () => prepare(limit) });
    this.#follow(sandbox.guest);
    return sandbox;
  }

  /** Takes a container out of the VM; the VM ends with it if no other needs it. */
  async #remove(id: string): Promise<void> {
    const removed = this.#containers.get(id);
    if (removed === undefined) return;
    removed.abortHooks();
    if (this.#isNeeded(removed)) await discard(removed.guest, removed.container);
    else await this.end();
    this.#containers.delete(id);
    removed.host.end();
    // What a hook of the container has left stays in its cgroup, and goes with that.
    if (this.#ended === undefined) (await this.#started?.sandbox)?.moveInto(this.#cgroups());
  }

  /** Whether the VM goes on without this container. */
  #isNeeded(without: PodContainer): boolean {
    if (this.#ended !== undefined) return false;
    if (this.#options.ends === "with the first") return without.container.id !== this.#started?.first;
    const others = [...this.#containers.values()].filter((each) => each !== without);
    return this.#creating.size > 0 || others.some((each) => !each.isOver);
  }

  #cgroups(): string[] {
    return [...this.#containers.values()].flatMap(({ host }) => host.cgroup ?? []);
  }

  async #endIfOver(): Promise<void> {
    if (this.#started === undefined) return;
    const { first } = this.#started;
    const isOver =
      this.#options.ends === "with the first"
        ? this.#containers.get(first)?.isOver === true
        : this.#creating.size === 0 && [...this.#containers.values()].every((each) => each.isOver);
    if (isOver) await this.end();
  }

  async #end(): Promise<void> {
    const { id, ends, leavesCgroup = ends === "with the last" } = this.#options;
    this.#abort.abort(new CaissonError("CAISSON_E_STATE", `the sandbox ${id} is being ended`));
    const sandbox = await this.#started?.sandbox.catch(() => undefined);
    // Placeholders are in the sandbox's cgroup, and stand for nobody any more.
    for (const { host } of this.#containers.values()) host.end();
    // A process that ends with its container has its cgroup removed with the record then.
    if (!leavesCgroup && this.#containers.size > 0) await sandbox?.endInPlace();
    else await sandbox?.end();
  }

  #follow(guest: Guest): void {
    const { id, onOom, ends } = this.#options;
    if (onOom !== undefined) watchOom(guest, (containerId) => this.#containers.has(containerId), onOom);
    // The end of a VM that is one container's own is that container's, and told as that.
    if (ends === "with the first") return;
    void guest.died.then((death) => {
      if (death.reason === "killed") return;
      const { code, message } = diedError(`sandbox ${id} is lost`, death);
      log.error(message);
      rememberFailure({ sandbox: id, code, message });
    });
  }

  #reserve(id: string): void {
    if (this.#containers.has(id) || this.#creating.has(id)) {
      throw new CaissonError("CAISSON_E_ID_IN_USE", `there is a container ${id} in this sandbox already`);
    }
    if (this.#ended !== undefined) {
      throw new CaissonError("CAISSON_E_STATE", `container ${id} cannot be created: its sandbox has ended`);
    }
    this.#creating.add(id);
  }
}

/** Takes a container out of a VM that goes on. */
async function discard(guest: Guest, container: Container): Promise<void> {
  await container.delete().catch((error: unknown) => log.warning(formatError(error)));
  await guest.removeContainer(container.id);
}
