import { lstatSync, mkdirSync } from "node:fs";
import { join, normalize } from "node:path";
import { constants, mount, umount } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { bind } from "./bind.ts";
import type { IdMap } from "./id-map.ts";
import { takeIdMap, withMappedLowers } from "./mapped-mounts.ts";
import { compactOverlay, LONGEST_DATA, mountArguments } from "./mount-options.ts";

/** A mount of those that make a root file system, as a snapshotter names them. */
export interface RootfsMount {
  /** File system type, or "bind". */
  type: string;
  source: string;
  /** Below the root file system's directory; empty: that directory. */
  target: string;
  /** The options as mount(8) takes them. */
  options: readonly string[];
}

/**
 * Makes the mounts on `rootfs`, the first at the bottom. Only to be used in a private mount namespace: they end with it.
 * @throws CaissonError CAISSON_E_STORAGE naming the mount that failed, CAISSON_E_CONFIG_UNSUPPORTED for an option that
 *   would need more than mount(2); the mounts made before are taken back.
 */
export function mountRootfs(rootfs: string, mounts: readonly RootfsMount[]): void {
  refuseTransforms(mounts);
  const made: string[] = [];
  try {
    for (const [index, entry] of mounts.entries()) {
      const target = inside(rootfs, entry.target, index);
      mkdirSync(target, { recursive: true, mode: 0o755 });
      mountOne(entry, target, `rootfs[${index}]`);
      made.push(target);
    }
  } catch (error) {
    for (const target of made.reverse()) umount(target, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
    throw error;
  }
}

/**
 * A type with a slash, as "format/mkdir/overlay" of containerd's erofs snapshotter, is for containerd's mount manager: it makes those mounts
 * itself unless the shim declares that it can, which ours does not. They are refused before another mount's option could be what is told.
 */
function refuseTransforms(mounts: readonly RootfsMount[]): void {
  const index = mounts.findIndex(({ type }) => type.includes("/"));
  if (index < 0) return;
  const field = `rootfs[${index}]`;
  const what = `${field}: the mount type "${mounts[index]?.type}" is not supported`;
  const remedy =
    "Have containerd's mount manager make the mount (containerd 2.2), or use the overlayfs or the native snapshotter.";
  throw new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", what, { field, remedy });
}

/** Takes the mounts of mountRootfs() back, whichever of them are there. */
export function unmountRootfs(rootfs: string, mounts: readonly RootfsMount[]): void {
  for (const [index, { target }] of [...mounts.entries()].reverse()) {
    try {
      umount(inside(rootfs, target, index), constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
    } catch {
      // Not mounted, or gone with what it was mounted on.
    }
  }
}

/** Makes the mount on `target`, a directory. @throws CaissonError as mountRootfs does, naming the field. */
export function mountOne({ type, source, options }: Omit<RootfsMount, "target">, target: string, field: string): void {
  const { idMap, rest } = takeIdMap(options);
  // loop, and what later snapshotters write for containerd's own mount code: a device to be made first.
  const beyond = rest.find((option) => /^(loop$|loop=|uidmap=|gidmap=|X-containerd\.)/.test(option));
  if (beyond !== undefined) {
    throw new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", `${field}: the mount option "${beyond}" is not supported`, {
      field,
      remedy: "Use the overlayfs or the native snapshotter.",
    });
  }
  const { flags, data } = mountArguments(rest);
  const isBind = type === "bind" || (flags & constants.MS_BIND) !== 0;
  if (idMap !== undefined && !isBind && type !== "overlay") {
    const message = `${field}: the mount type "${type}" with a map of ids is not supported`;
    throw new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", message, { field });
  }
  try {
    if (isBind) bindWith(source, target, flags, idMap, field);
    else if (type === "overlay" && idMap !== undefined) {
      withMappedLowers(data, idMap, field, (mapped) => overlay(source, target, flags, mapped));
    } else if (type === "overlay") overlay(source, target, flags, data);
    else mount(source, target, type, flags, data.length === 0 ? null : data.join(","));
  } catch (cause) {
    if (cause instanceof CaissonError) throw cause;
    const doing = `mount ${source} as ${type} on ${target}`;
    throw new CaissonError("CAISSON_E_STORAGE", `${field}: ${systemErrorSentence(doing, cause)}`, { cause, field });
  }
}

/** A bind mount takes other flags only afterwards (mount(2), MS_REMOUNT). */
function bindWith(source: string, target: string, flags: number, idMap: IdMap | undefined, field: string): void {
  const recursive = (flags & constants.MS_REC) !== 0;
  if (idMap === undefined) mount(source, target, null, constants.MS_BIND | (flags & constants.MS_REC), null);
  else bind(source, target, { recursive, readOnly: false, idMap, field });
  const rest = flags & ~constants.MS_REC & ~constants.MS_BIND;
  if (rest !== 0) mount(null, target, null, constants.MS_REMOUNT | constants.MS_BIND | rest, null);
}

function overlay(source: string, target: string, flags: number, options: readonly string[]): void {
  const { data, folder } = compactOverlay(options);
  if (data.length > LONGEST_DATA)
    throw new Error(`its options have ${data.length} bytes, and mount(2) takes ${LONGEST_DATA}`);
  const back = process.cwd();
  if (folder !== undefined) process.chdir(folder);
  try {
    mount(source, target, "overlay", flags, data);
  } finally {
    process.chdir(back);
  }
}

/** The directory of a mount; not outside the root file system, and not through a link that an image brought. */
function inside(rootfs: string, target: string, index: number): string {
  const names = normalize(`/${target}`)
    .split("/")
    .filter((name) => name !== "");
  let path = rootfs;
  for (const name of names) {
    path = join(path, name);
    const kind = lstatSync(path, { throwIfNoEntry: false });
    if (kind === undefined || kind.isDirectory()) continue;
    const field = `rootfs[${index}].target`;
    throw new CaissonError("CAISSON_E_STORAGE", `${field}: ${path} is not a directory`, { field });
  }
  return path;
}
