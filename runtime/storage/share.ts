import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import { constants, mount, umount } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Hooks, Mount, Spec } from "../../protocol/oci.ts";

/** Where the guest's agent mounts the shared directory. */
export const GUEST_SHARE = "/run/caisson/share";

/** Room for the share's own directories and mount points: all that a hostile guest could write beside the volumes. */
const SHARE_TMPFS = "mode=0700,size=1m,nr_inodes=4096";

/**
 * The one directory that the sandbox's VM can see. Root file systems and volumes are bind mounts below it:
 * `<container>/rootfs` and `<container>/mounts/<index>`. Only to be used in a private mount namespace.
 */
export class Share {
  readonly directory: string;
  #open = true;

  /** Mounts the share's own small tmpfs on `directory`, which it makes if need be. */
  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    mount("caisson-share", directory, "tmpfs", constants.MS_NOSUID | constants.MS_NODEV, SHARE_TMPFS);
  }

  /**
   * Brings a container's root file system and bind mounts into the share.
   * @returns the configuration as the guest needs it: host paths replaced by paths below GUEST_SHARE.
   * @throws CaissonError CAISSON_E_STORAGE naming the mount whose source is missing or cannot be shared.
   */
  addContainer(id: string, spec: Spec, bundle: string, rootfs: string): Spec {
    const own = join(this.directory, id);
    this.#writable(true);
    try {
      mkdirSync(join(own, "mounts"), { recursive: true });
      mkdirSync(join(own, "rootfs"), { recursive: true });
      bind(rootfs, join(own, "rootfs"), true, false, "root.path");
      const mounts = spec.mounts?.map((entry, index) => {
        if (!isBind(entry)) return entry;
        addBind(entry, bundle, join(own, "mounts", String(index)), index);
        return { ...entry, source: `${GUEST_SHARE}/${id}/mounts/${index}` };
      });
      const hooks = addHooks(spec.hooks, bundle, own, `${GUEST_SHARE}/${id}`);
      return {
        ...spec,
        root: { ...spec.root, path: `${GUEST_SHARE}/${id}/rootfs` },
        ...(mounts && { mounts }),
        ...(hooks && { hooks }),
      };
    } catch (error) {
      this.#remove(own);
      throw error;
    } finally {
      this.#writable(false);
    }
  }

  /** Takes a container's mounts out of the share again. Does nothing for one that is not there. */
  removeContainer(id: string): void {
    this.#writable(true);
    try {
      this.#remove(join(this.directory, id));
    } finally {
      this.#writable(false);
    }
  }

  /** Unmounts it with all that is in it. May be called again. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    umount(this.directory, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
  }

  /** The mount points are removed only once nothing is mounted below them: what they showed is the user's. */
  #remove(own: string): void {
    for (const target of mountPoints(own)) umount(target, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
    rmSync(own, { recursive: true, force: true });
  }

  #writable(yes: boolean): void {
    const flags = constants.MS_REMOUNT | constants.MS_NOSUID | constants.MS_NODEV | (yes ? 0 : constants.MS_RDONLY);
    mount("caisson-share", this.directory, "tmpfs", flags, SHARE_TMPFS);
  }
}

/** Whether the mount shows a file or directory of the host (config.md, Mounts: type "bind" or an option bind/rbind). */
export function isBind(entry: Mount): boolean {
  return entry.type === "bind" || (entry.options ?? []).some((option) => option === "bind" || option === "rbind");
}

function addBind(entry: Mount, bundle: string, target: string, index: number): void {
  const field = `mounts[${index}].source`;
  const given = entry.source ?? "";
  const source = isAbsolute(given) ? given : join(bundle, given);
  let kind: ReturnType<typeof statSync>;
  try {
    kind = statSync(source);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_STORAGE", `${field}: ${source} cannot be bound to ${entry.destination}`, {
      cause,
      field,
    });
  }
  if (kind.isBlockDevice() || kind.isCharacterDevice()) {
    const remedy = "name devices in linux.devices; the guest has its own";
    throw new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", `${field}: ${source} is a device of the host`, {
      field,
      remedy,
    });
  }
  if (kind.isDirectory()) mkdirSync(target);
  else closeSync(openSync(target, "wx"));
  const options = new Set(entry.options);
  bind(source, target, options.has("rbind"), options.has("ro") || options.has("rro"), field);
}

/**
 * Brings the programs of createContainer hooks into the share, since they run in the guest but are the host's (config.md,
 * CreateContainer Hooks), and beside the root file system the configuration that they look for in the bundle.
 */
function addHooks(hooks: Hooks | undefined, bundle: string, own: string, guest: string): Hooks | undefined {
  const programs = hooks?.createContainer ?? [];
  if (programs.length === 0) return hooks;
  addFile(join(bundle, "config.json"), join(own, "config.json"), "hooks.createContainer");
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
  bind(source, target, false, true, field);
}

/** Read-only is kept by the host as well: the guest's own flag is in the guest's power. */
function bind(source: string, target: string, recursive: boolean, readOnly: boolean, field: string): void {
  try {
    mount(source, target, null, constants.MS_BIND | (recursive ? constants.MS_REC : 0), null);
    if (readOnly) mount(null, target, null, constants.MS_REMOUNT | constants.MS_BIND | constants.MS_RDONLY, null);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_STORAGE", `${field}: ${source} cannot be shared with the VM`, { cause, field });
  }
}

/** The mounts below a container's directory in the share, deepest last added first (proc(5), mountinfo: field 5). */
function mountPoints(own: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => unescapePath(line.split(" ")[4] ?? ""))
    .filter((path) => path.startsWith(`${own}/`))
    .reverse();
}

function unescapePath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_match, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
