/** Which mounts of a configuration, or of a snapshotter, are made of a block device. */
import { type Stats, statSync } from "node:fs";
import type { Mount } from "../../../protocol/oci.ts";
import { isBindMount } from "../../oci/checks/mounts.ts";

/** The file systems on disks that the guest's kernel has (guest-image/modules.txt). */
export const FILE_SYSTEMS: readonly string[] = [
  ..."ext2 ext3 ext4 xfs btrfs f2fs erofs squashfs vfat exfat iso9660 udf".split(" "),
];

/** The kinds that nobody can write to, which are mounted as such without being asked for. */
const READ_ONLY_FILE_SYSTEMS: readonly string[] = ["erofs", "squashfs", "iso9660"];

/** The option as mount(8) takes it: a file is to be used as a block device. */
export const LOOP = "loop";

/** erofs's option for a further device that it is on. */
export const DEVICE = "device=";

interface MountKind {
  type?: string | undefined;
  options?: readonly string[] | undefined;
}

/** Whether it is a file system that lies on a block device or in an image of one. */
export function isOnDisk({ type = "", options = [] }: MountKind): boolean {
  return (
    FILE_SYSTEMS.includes(type) &&
    !options.includes("remount") &&
    !isBindMount({ destination: "", type, options: [...options] })
  );
}

/** The mount of a file system on disks with the paths of these changed. */
export function withDiskPaths(mount: Mount, change: (path: string) => string): Mount {
  const { type, source, options } = mount;
  const paths = options?.map((option) =>
    type === "erofs" && option.startsWith(DEVICE) ? `${DEVICE}${change(option.slice(DEVICE.length))}` : option,
  );
  return { ...mount, ...(source !== undefined && { source: change(source) }), ...(paths && { options: paths }) };
}

export function isReadOnly(options: readonly string[] = [], type = ""): boolean {
  if (READ_ONLY_FILE_SYSTEMS.includes(type)) return true;
  return options.findLast((option) => option === "ro" || option === "rw") === "ro" || options.includes("rro");
}

/** Whether a snapshotter has the root file system on block devices, or in images of such: the guest mounts it then, and not the host. */
export function isDiskRootfs(mounts: readonly MountKind[]): boolean {
  return mounts.length > 0 && mounts.every(isOnDisk);
}

/** What is at a path; undefined for nothing. */
export function kindOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
