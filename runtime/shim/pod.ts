import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Any } from "../../protocol/generated/containerd/types.ts";
import { hostCgroupPath } from "../cgroup/cgroup.ts";
import type { ProcessIo } from "../guest/stdio/pump.ts";
import { countStart } from "../metrics/start-phases.ts";
import type { Bundle } from "../oci/bundle.ts";
import type { ContainerRequest } from "../sandbox/container-request.ts";
import { HostHooks } from "../sandbox/hooks.ts";
import { OwnProcess, PlaceholderProcess } from "../sandbox/host-process.ts";
import { Pod } from "../sandbox/pod.ts";
import type { PodContainer } from "../sandbox/pod-container.ts";
import { podOf } from "../sandbox/spec/cri-annotations.ts";
import { BoundNamespaces } from "../sandbox/spec/pod-namespaces.ts";
import { readBundle } from "../sandbox/spec/read-bundle.ts";
import type { ContainerRecord } from "../state/container-record.ts";
import { isDiskRootfs } from "../storage/disks/kinds.ts";
import { mountRootfs, type RootfsMount, unmountRootfs } from "../storage/rootfs-mounts.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { settingsOf } from "./options.ts";
import type { ShimPaths } from "./paths.ts";

/** A container as containerd asks for it. */
export interface ShimContainerRequest {
  id: string;
  /** The bundle's directory. */
  bundle: string;
  /** To be mounted on its root file system's directory; none when that is there already. */
  rootfs: readonly RootfsMount[];
  io: ProcessIo;
  /** The runtime's options; the first caller's count. */
  options: Any | undefined;
  /** Changes the configuration before it is checked. */
  complete?(document: unknown): unknown;
  /** W3C's, of the engine's call. */
  traceparent?: string | undefined;
  /** Takes the creation back. */
  signal: AbortSignal;
}

/** A container that containerd is about to ask for. */
interface Expected {
  id: string;
  directory: string;
  options: Any | undefined;
  bundle: Bundle;
}

/** The pod of a daemon, made when the first container, or the sandbox, is. */
export class ShimPod {
  readonly #paths: ShimPaths;
  readonly #record: ContainerRecord;
  readonly #bound = new BoundNamespaces();
  /** What is released with each container, by its id. */
  readonly #releases = new Map<string, () => Promise<void>>();
  #pod: Pod | undefined;
  #expected: Expected | undefined;
  /** Called with the container in which the kernel's OOM killer has killed. */
  onOom: (containerId: string) => void = () => {};

  constructor(paths: ShimPaths, record: ContainerRecord) {
    this.#paths = paths;
    this.#record = record;
  }

  /** Undefined before open(). */
  get opened(): Pod | undefined {
    return this.#pod;
  }

  /** The pod; the options are the first caller's. Throws as settingsOf does. */
  open(options: Any | undefined): Pod {
    const { key: id, share, consoleLog } = this.#paths;
    this.#pod ??= new Pod({
      id,
      settings: settingsOf(options),
      share,
      consoleLog,
      ends: "with the last",
      isOwn: ({ annotations }) => podOf(annotations) === undefined,
      record: this.#record,
      onOom: (containerId) => this.onOom(containerId),
      lendsLoopback: true,
    });
    return this.#pod;
  }

  /**
   * Starts the VM for the container that containerd is going to ask for, if that has a configuration already: until then it takes 15 ms.
   * What goes wrong create() tells.
   */
  expect(id: string, directory: string, options: Any | undefined): void {
    try {
      const bundle = this.#read(id, directory);
      const { cgroupsPath } = bundle.config.linux ?? {};
      const pod = this.open(options);
      countStart();
      pod.expect(id, bundle.config, hostCgroupPath(this.#paths.key, cgroupsPath));
      this.#expected = { id, directory, options, bundle };
    } catch (error) {
      log.debug(`no VM is started ahead: ${formatError(error)}`);
    }
  }

  /** Creates a container up to where its init waits to be started. Throws as Pod.create does; nothing of it is left then. */
  async create(request: ShimContainerRequest): Promise<PodContainer> {
    const { id, bundle, rootfs, options, signal } = request;
    const expected = await this.#takeExpected(request);
    const pod = this.open(options);
    signal.throwIfAborted();
    const directory = join(bundle, "rootfs");
    if (!isDiskRootfs(rootfs)) mountRootfs(directory, rootfs);
    const hooks: HostHooks[] = [];
    const release = async (): Promise<void> => {
      unmountRootfs(directory, rootfs);
      for (const each of hooks) await each.poststop();
    };
    try {
      const wanted = this.#wanted(request, expected ?? this.#read(id, bundle, request.complete), pod);
      hooks.push(wanted.hooks);
      if (pod.isNew && expected === undefined) countStart();
      const created = await pod.create(wanted);
      this.#releases.set(id, release);
      return created;
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** The bundle, if it was read already; a VM that was started for another container is ended. */
  async #takeExpected({ id, bundle, options }: ShimContainerRequest): Promise<Bundle | undefined> {
    const expected = this.#expected;
    this.#expected = undefined;
    if (expected === undefined) return undefined;
    const isIt = expected.id === id && expected.directory === bundle;
    if (isIt && isDeepStrictEqual(expected.options, options)) return expected.bundle;
    await this.#pod?.end();
    this.#pod = undefined;
    return undefined;
  }

  #read(id: string, directory: string, complete?: ShimContainerRequest["complete"]): Bundle {
    const containerOf = (pid: number) => this.#pod?.containerOf(pid);
    const bundle = readBundle(directory, { containerOf, bound: { namespaces: this.#bound, id }, complete });
    for (const warning of bundle.warnings) log.warning(warning);
    return bundle;
  }

  #wanted({ id, rootfs, io, traceparent, signal }: ShimContainerRequest, bundle: Bundle, pod: Pod) {
    const { hooks, annotations, linux } = bundle.config;
    return {
      id,
      bundle,
      rootfsDisks: isDiskRootfs(rootfs) ? rootfs : undefined,
      // This process stands for the pod's own container.
      host: pod.isNew
        ? new OwnProcess(hostCgroupPath(this.#paths.key, linux?.cgroupsPath), { showsFiles: false })
        : new PlaceholderProcess({ ownRootfs: rootfs.length > 0 }),
      hooks: new HostHooks(hooks, { id, bundle: bundle.bundle, annotations }),
      streams: () => ({ io }),
      asked: { id, name: "shim: create", askedMs: Date.now(), traceparent },
      signal,
    } satisfies ContainerRequest;
  }

  /** Removes a container, killing what is left of it. */
  async remove(container: PodContainer): Promise<void> {
    const { id } = container.container;
    await container.remove();
    await this.#releases.get(id)?.();
    this.#releases.delete(id);
  }
}
