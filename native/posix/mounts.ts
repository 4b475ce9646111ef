/** Mounts, and what file systems tell of files: see index.ts. */
import { addon } from "./addon.ts";

export function mount(
  source: string | null,
  target: string,
  fstype: string | null,
  flags: number,
  data: string | null,
): void {
  addon.mount(source, target, fstype, flags, data);
}

/** umount2(2). */
export function umount(target: string, flags: number): void {
  addon.umount(target, flags);
}

/**
 * A copy of the mount at `path`, with all below it if `recursive` (open_tree(2), OPEN_TREE_CLONE), mounted nowhere: it goes
 * with its descriptor, unless attachMounts() has been called.
 */
export function cloneMounts(path: string, recursive: boolean): number {
  return addon.cloneMounts(path, recursive);
}

/** Makes what cloneMounts() made read-only, but nothing below it (mount_setattr(2)). */
export function setReadOnly(fd: number): void {
  addon.setReadOnly(fd);
}

/** Mounts what cloneMounts() made, also that of another mount namespace, on `target` (move_mount(2)). */
export function attachMounts(fd: number, target: string): void {
  addon.attachMounts(fd, target);
}

/**
 * A user namespace that nobody is in, for mapIds() (user_namespaces(7)).
 * @param uids lines of /proc/PID/uid_map: an id of the file system, the id that it is shown as, how many.
 * @returns its descriptor. @throws EINVAL when the kernel does not take the maps.
 */
export function idMap(uids: string, gids: string): number {
  return addon.idMap(uids, gids);
}

/**
 * Maps the ids of what cloneMounts() made, and of what is mounted below it if `recursive` (mount_setattr(2), MOUNT_ATTR_IDMAP).
 * @throws EINVAL where the file system cannot be, EPERM where it is mapped already.
 */
export function mapIds(fd: number, idMap: number, recursive: boolean): void {
  addon.mapIds(fd, idMap, recursive);
}

/**
 * Whether what is at the path has this extended attribute (getxattr(2)); links are followed. Where the file system has none, it has not.
 * @throws ENOENT, EACCES.
 */
export function hasAttribute(path: string, name: string): boolean {
  return addon.hasAttribute(path, name);
}
