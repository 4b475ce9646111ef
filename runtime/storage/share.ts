import { closeSync, mkdirSync, openSync, rmSync, symlinkSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { constants, mount, umount } from "../../native/posix/index.ts";
import { GUEST_SHARE } from "../../protocol/guest-contract.ts";
import type { Hooks, Spec } from "../../protocol/oci.ts";
import { isBindMount } from "../oci/checks/mounts.ts";
import { mountsBelow } from "../state/mounts-below.ts";
import { bind } from "./bind.ts";
import { BindSource } from "./bind-source.ts";
import { withoutIdMap } from "./id-map.ts";
import type { VolumeAccessLists } from "./joined-volumes.ts";
import { LiveSources } from "./live-sources.ts";
import { inOwnMountNamespace, type Shown, standFor } from "./mount-namespace.ts";
import { isOverlay, mountOverlay, overlayAsBind } from "./overlay.ts";
import { Volumes } from "./volumes.ts";

/** Not in any container's id. */
const VOLUMES = "~volumes";
/** In each container's folder. native/vhost-proxy knows it by this name, and native/share-rights does. */
const ROOT_FILE_SYSTEM = "~rootfs";

/**
 * Room for the share's own directories and mount points: all that a hostile guest could write beside the volumes. Whoever
 * has a path may go through it: in the guest createContainer hooks are run from it as the container's users.
 */
const SHARE_TMPFS = "mode=0711,size=1m,nr_inodes=4096";

/**
 * The one directory that the sandbox's VM can see. Root file systems and volumes are bind mounts below it:
 * `<container>/~rootfs`, `<container>/mounts/<index>` for files and overlays, and `~volumes/<n>` for directories. Processes that have a copy of
 * this process's mount namespace see them come and go, as virtiofsd does. Only to be used in a private mount namespace.
 */
export class Share {
  readonly directory: string;
  /** The same, read-only but for what is mounted in it: what virtiofsd is to serve. */
  readonly served: string;
  readonly #volumes: Volumes;
  /** The folders of the containers, by their ids. The guest remembers a name for a while, so none is used twice. */
  readonly #folders = new Map<string, string>();
  #count = 0;
  /** What engines see of each container's mounts, by the container's id. */
  readonly #shown = new Map<string, Shown[]>();
  readonly #live = new Map<string, LiveSources>();
  #open = true;

  /** Mounts the share's own small tmpfs on `directory`, which it makes if need be. */
  constructor(directory: string, accessLists: VolumeAccessLists = "auto") {
    this.directory = directory;
    this.#volumes = new Volumes(join(directory, VOLUMES), accessLists);
    this.served = `${directory}.served`;
    for (const path of [directory, this.served]) mkdirSync(path, { recursive: true, mode: 0o700 });
    mount("caisson-share", directory, "tmpfs", constants.MS_NOSUID | constants.MS_NODEV, SHARE_TMPFS);
    mount(null, directory, null, constants.MS_SHARED, null);
    // The two mounts are of one peer group: what is mounted in the one is mounted in the other, and in virtiofsd's copy of it.
    bind(directory, this.served, { recursive: false, readOnly: true, field: "share" });
  }

  /**
   * Brings a container's root file system and bind mounts into the share.
   * @returns the configuration as the guest needs it: host paths replaced by paths below GUEST_SHARE.
   * @throws CaissonError CAISSON_E_STORAGE naming the mount whose source is missing or cannot be shared.
   */
  addContainer(id: string, spec: Spec, bundle: string, rootfs: string): Spec {
    const folder = this.#count === 0 ? id : `${id}~${this.#count}`;
    this.#count++;
    const own = join(this.directory, folder);
    this.#folders.set(id, own);
    try {
      mkdirSync(join(own, "mounts"), { recursive: true });
      mkdirSync(join(own, ROOT_FILE_SYSTEM), { recursive: true });
      bind(rootfs, join(own, ROOT_FILE_SYSTEM), { recursive: true, readOnly: false, field: "root.path" });
      const sources = this.#addBinds(id, spec, bundle);
      for (const [index, entry] of spec.mounts?.entries() ?? []) {
        if (isOverlay(entry)) sources.set(index, mountOverlay(entry, index, join(own, "mounts"), bundle));
      }
      const mounts = spec.mounts?.map((entry, index) => {
        const source = sources.get(index);
        if (source === undefined) return entry;
        const path = this.#live.get(id)?.pathOf(index) ?? join(GUEST_SHARE, relative(this.directory, source));
        return isOverlay(entry) ? overlayAsBind(entry, path) : { ...withoutIdMap(entry), source: path };
      });
      this.#shown.set(
        id,
        [...sources].map(([index, source]) => ({ source, destination: spec.mounts?.[index]?.destination ?? "" })),
      );
      const hooks = addHooks(spec.hooks, bundle, own, `${GUEST_SHARE}/${folder}`);
      return {
        ...spec,
        root: { ...spec.root, path: `${GUEST_SHARE}/${folder}/${ROOT_FILE_SYSTEM}` },
        ...(mounts && { mounts }),
        ...(hooks && { hooks }),
      };
    } catch (error) {
      this.#remove(id);
      throw error;
    }
  }

  /** Takes a container's mounts out of the share again. Does nothing for one that is not there. */
  removeContainer(id: string): void {
    inOwnMountNamespace(() => this.#remove(id));
  }

  /** The mounts of a container that the guest is to be supplied with before the container is created there. */
  liveSources(id: string): LiveSources {
    return this.#live.get(id) ?? new LiveSources();
  }

  /** Makes this process's mount namespace look like the container's, as far as that is the host's: for engines. */
  standFor(id: string): void {
    standFor(join(this.#folder(id), ROOT_FILE_SYSTEM), this.#shown.get(id) ?? []);
  }

  /** Unmounts it with all that is in it. May be called again. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#volumes.close();
    inOwnMountNamespace(() => {
      for (const path of [this.served, this.directory]) umount(path, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
    });
  }

  /** Where in the share the source of each bind mount is, by the mount's index. */
  #addBinds(id: string, { mounts = [], linux }: Spec, bundle: string): Map<number, string> {
    const targets = new Map<number, string>();
    const binds = mounts.flatMap((entry, index) =>
      isBindMount(entry) ? [new BindSource(entry, index, bundle, linux)] : [],
    );
    // A directory comes before those below it.
    binds.sort((one, other) => one.path.length - other.path.length);
    const live = new LiveSources();
    this.#live.set(id, live);
    for (const source of binds) {
      const target = source.isDirectory
        ? this.#volumes.add(id, source.path, source.options)
        : this.#addFile(id, source);
      targets.set(source.index, target);
      live.add(source, target);
    }
    return targets;
  }

  #addFile(id: string, { index, path, options }: BindSource): string {
    const target = join(this.#folder(id), "mounts", String(index));
    closeSync(openSync(target, "wx"));
    bind(path, target, options);
    return target;
  }

  /** The mount points are removed only once nothing is mounted below them: what they showed is the user's. */
  #remove(id: string): void {
    const own = this.#folder(id);
    this.#volumes.remove(id);
    this.#shown.delete(id);
    this.#live.get(id)?.close();
    this.#live.delete(id);
    this.#folders.delete(id);
    for (const target of mountsBelow(own)) umount(target, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
    rmSync(own, { recursive: true, force: true });
  }

  #folder(id: string): string {
    return this.#folders.get(id) ?? join(this.directory, id);
  }
}

/**
 * Brings the programs of createContainer hooks into the share, since they run in the guest but are the host's (config.md,
 * CreateContainer Hooks), and beside the root file system the configuration that they look for in the bundle.
 */
function addHooks(hooks: Hooks | undefined, bundle: string, own: string, guest: string): Hooks | undefined {
  const programs = hooks?.createContainer ?? [];
  if (programs.length === 0) return hooks;
  addFile(join(bundle, "config.json"), join(own, "config.json"), "hooks.createContainer");
  // Hooks find the root file system where bundles mostly have it, too.
  symlinkSync(ROOT_FILE_SYSTEM, join(own, "rootfs"));
  const createContainer = programs.map((hook, index) => {
    const field = `hooks.createContainer[${index}]`;
    const name = join("hooks", String(index), basename(hook.path));
    mkdirSync(join(own, "hooks", String(index)), { recursive: true });
    addFile(hook.path, join(own, name), field);
    return { ...hook, args: hook.args ?? [hook.path], path: join(guest, name) };
  });
  return { ...hooks, createContainer };
}

function addFile(source: string, target: string, field: string): void {
  closeSync(openSync(target, "wx"));
  bind(source, target, { recursive: false, readOnly: true, field });
}
