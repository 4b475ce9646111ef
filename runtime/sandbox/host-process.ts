/** What stands for a container on the host; it is all in which the containers of the CLI and of containerd differ. */
import { dirname, join } from "node:path";
import { withMountTree } from "../storage/mount-tree.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import type { Guest } from "./guest.ts";
import type { HostHooks } from "./hooks.ts";
import { startPlaceholder } from "./placeholder.ts";
import { type HostFiles, withCallersMounts, withSources } from "./spec/host-paths.ts";

/** The process of the host that engines know a container by. */
export abstract class HostProcess {
  abstract readonly pid: number;
  /** The path of the cgroup that the process is in, if that is the container's own. */
  readonly cgroup: string | undefined;

  constructor(cgroup?: string) {
    this.cgroup = cgroup;
  }

  /** Runs the hooks of create, unless that has been done. Throws as HostHooks.create() does. */
  async prepare(hooks: HostHooks, signal: AbortSignal): Promise<void> {
    await hooks.create(signal);
  }

  /** Runs something synchronous with the paths by which this process finds the files that the container is to have. */
  withFiles<T>(files: HostFiles, _share: string, run: (found: HostFiles) => T): T {
    return run(files);
  }

  /** The container is created. */
  created(_guest: Guest, _id: string): void {}

  /** The container is removed. */
  end(): void {}
}

/** This process, which sees what whoever asked for the container does. */
export class OwnProcess extends HostProcess {
  readonly pid = process.pid;
  readonly #showsFiles: boolean;

  /** @param showsFiles whether engines are to find the container's files by the pid, as `podman cp` does. */
  constructor(cgroup: string, { showsFiles }: { showsFiles: boolean }) {
    super(cgroup);
    this.#showsFiles = showsFiles;
  }

  override created({ share }: Guest, id: string): void {
    if (!this.#showsFiles) return;
    try {
      share.standFor(id);
    } catch (error) {
      log.warning(`container ${id} runs, but engines cannot reach its files by its pid: ${(error as Error).message}`);
    }
  }
}

/**
 * A process that only has a pid: engines tell containers apart by that, and name the namespaces of one by it. It is in the
 * sandbox's cgroup and network namespace, does nothing, and ends with this process at the latest.
 */
export class PlaceholderProcess extends HostProcess {
  readonly #ownRootfs: boolean;
  #child: ReturnType<typeof startPlaceholder> | undefined;

  /** @param ownRootfs whether this process has mounted the root file system, or else the engine has. */
  constructor({ ownRootfs }: { ownRootfs: boolean }) {
    super();
    this.#ownRootfs = ownRootfs;
  }

  /** The pid of this process while there is no other, and when none could be started. */
  get pid(): number {
    return this.#child?.pid ?? process.pid;
  }

  override withFiles<T>(files: HostFiles, share: string, run: (found: HostFiles) => T): T {
    return withCallersMounts(files, { share, ownRootfs: this.#ownRootfs }, run);
  }

  override created(_guest: Guest, id: string): void {
    try {
      this.#child = startPlaceholder();
    } catch (error) {
      log.warning(`container ${id} has no pid of its own on the host: ${formatError(error)}`);
    }
  }

  override end(): void {
    this.#child?.connection.destroy();
  }
}

/** The host's files as a monitor has them. */
export interface HostView {
  /** Gives a descriptor of what the monitor sees mounted (storage/mount-tree.ts). */
  takeMounts(): number;
  /** The bundle's directory without symbolic links. */
  directory: string;
}

/** The monitor of a container that has joined this process's VM (daemon/monitor.ts): it has run the hooks itself. */
export class MonitorProcess extends HostProcess {
  readonly pid: number;
  readonly #view: HostView;

  constructor(pid: number, cgroup: string, view: HostView) {
    super(cgroup);
    this.pid = pid;
    this.#view = view;
  }

  override async prepare(): Promise<void> {}

  override withFiles<T>({ spec, rootfs }: HostFiles, share: string, run: (found: HostFiles) => T): T {
    const { takeMounts, directory } = this.#view;
    return withMountTree(takeMounts(), dirname(share), (seen) => {
      const lead = (path: string) => join(seen, path);
      return run({ spec: withSources(spec, lead), rootfs: lead(rootfs), directory: lead(directory) });
    });
  }
}
