import type { Mount } from "../../protocol/oci.ts";
import { unsupported } from "./unsupported.ts";

/** linux/mount.h, MOUNT_ATTR_*: what belongs to a mount, not to its file system. */
export const ATTRIBUTE = {
  readonly: 0x01n,
  nosuid: 0x02n,
  nodev: 0x04n,
  noexec: 0x08n,
  /** The field that the three access-time modes share; relatime is its zero. */
  atimeMode: 0x70n,
  noatime: 0x10n,
  strictatime: 0x20n,
  nodiratime: 0x80n,
  nosymfollow: 0x200000n,
} as const;

/** linux/mount.h, MS_* as mount_setattr(2) takes them for propagation. */
export const PROPAGATION = {
  unbindable: 1n << 17n,
  private: 1n << 18n,
  slave: 1n << 19n,
  shared: 1n << 20n,
} as const;

interface Change {
  set?: bigint;
  clear?: bigint;
}

const { atimeMode } = ATTRIBUTE;
/** config.md, "Linux mount options"; an `r` before the name makes it recursive. */
const CHANGES: Readonly<Record<string, Change>> = {
  ro: { set: ATTRIBUTE.readonly },
  rw: { clear: ATTRIBUTE.readonly },
  nosuid: { set: ATTRIBUTE.nosuid },
  suid: { clear: ATTRIBUTE.nosuid },
  nodev: { set: ATTRIBUTE.nodev },
  dev: { clear: ATTRIBUTE.nodev },
  noexec: { set: ATTRIBUTE.noexec },
  exec: { clear: ATTRIBUTE.noexec },
  nodiratime: { set: ATTRIBUTE.nodiratime },
  diratime: { clear: ATTRIBUTE.nodiratime },
  nosymfollow: { set: ATTRIBUTE.nosymfollow },
  symfollow: { clear: ATTRIBUTE.nosymfollow },
  noatime: { set: ATTRIBUTE.noatime, clear: atimeMode },
  strictatime: { set: ATTRIBUTE.strictatime, clear: atimeMode },
  atime: { clear: atimeMode },
  relatime: { clear: atimeMode },
  norelatime: { clear: atimeMode },
  nostrictatime: { clear: atimeMode },
};

/** Flags of a file system's superblock that fsconfig(2) knows by name. A bind mount has none of its own. */
const SUPERBLOCK = ["sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand"];
/**
 * What a mount is without being told so, and the empty option, which mount(8) passes over and podman 5 writes; and the change
 * counter that only an NFS server and IMA read, neither of which
 * the guest's kernel has.
 */
const WITHOUT_EFFECT = ["", "defaults", "loud", "silent", "acl", "iversion", "noiversion"];
/** linux/mount.h has no attribute and fsconfig(2) no name for it. */
const IMPOSSIBLE = ["noacl"];

export interface MountOptions {
  bind: boolean;
  recursiveBind: boolean;
  remount: boolean;
  copyUp: boolean;
  /** Attributes of the mount itself. A later option wins over an earlier one. */
  set: bigint;
  clear: bigint;
  recursiveSet: bigint;
  recursiveClear: bigint;
  /** In their order. */
  propagation: { value: bigint; recursive: boolean }[];
  /** For the file system: `key=value` or a flag. */
  data: string[];
}

/** Sorts a mount's options by who carries them out. Throws CAISSON_E_CONFIG_UNSUPPORTED naming an option. */
export function parseMountOptions(mount: Mount, field: string): MountOptions {
  const parsed: MountOptions = {
    bind: mount.type === "bind",
    recursiveBind: false,
    remount: false,
    copyUp: false,
    set: 0n,
    clear: 0n,
    recursiveSet: 0n,
    recursiveClear: 0n,
    propagation: [],
    data: [],
  };
  mount.options?.forEach((option, index) => {
    parseOption(option, parsed, `${field}.options[${index}]`);
  });
  if (parsed.bind && parsed.data.length > 0) {
    throw unsupported(`${field}.options`, `a bind mount has no file system options such as "${parsed.data[0]}".`);
  }
  return parsed;
}

function parseOption(option: string, parsed: MountOptions, field: string): void {
  const change = own(CHANGES, option);
  const recursiveChange = option.startsWith("r") ? own(CHANGES, option.slice(1)) : undefined;
  const propagation = own<bigint>(PROPAGATION, option);
  const recursivePropagation = option.startsWith("r") ? own<bigint>(PROPAGATION, option.slice(1)) : undefined;
  if (change !== undefined) {
    parsed.clear = (parsed.clear & ~(change.set ?? 0n)) | (change.clear ?? 0n);
    parsed.set = (parsed.set & ~(change.clear ?? 0n)) | (change.set ?? 0n);
  } else if (recursiveChange !== undefined) {
    parsed.recursiveClear = (parsed.recursiveClear & ~(recursiveChange.set ?? 0n)) | (recursiveChange.clear ?? 0n);
    parsed.recursiveSet = (parsed.recursiveSet & ~(recursiveChange.clear ?? 0n)) | (recursiveChange.set ?? 0n);
  } else if (propagation !== undefined) parsed.propagation.push({ value: propagation, recursive: false });
  else if (recursivePropagation !== undefined)
    parsed.propagation.push({ value: recursivePropagation, recursive: true });
  else if (option === "bind") parsed.bind = true;
  else if (option === "rbind") parsed.bind = parsed.recursiveBind = true;
  else if (option === "remount") parsed.remount = true;
  else if (option === "tmpcopyup") parsed.copyUp = true;
  else if (IMPOSSIBLE.includes(option)) throw unsupported(field, `the mount option "${option}" is not supported`);
  else if (SUPERBLOCK.includes(option)) {
    if (!parsed.bind) parsed.data.push(option);
  } else if (!WITHOUT_EFFECT.includes(option)) parsed.data.push(option);
}

/** Only what the table itself has: an option may be named "constructor". */
export function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
