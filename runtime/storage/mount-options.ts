/** Options of a mount as mount(8) takes them, for mount(2). */

/** linux/mount.h; an option either sets its flag or clears it. */
const FLAGS: Readonly<Record<string, { flag: number; clear?: true }>> = {
  ro: { flag: 0x1 },
  rw: { flag: 0x1, clear: true },
  nosuid: { flag: 0x2 },
  suid: { flag: 0x2, clear: true },
  nodev: { flag: 0x4 },
  dev: { flag: 0x4, clear: true },
  noexec: { flag: 0x8 },
  exec: { flag: 0x8, clear: true },
  sync: { flag: 0x10 },
  async: { flag: 0x10, clear: true },
  remount: { flag: 0x20 },
  mand: { flag: 0x40 },
  nomand: { flag: 0x40, clear: true },
  dirsync: { flag: 0x80 },
  nosymfollow: { flag: 0x100 },
  symfollow: { flag: 0x100, clear: true },
  noatime: { flag: 0x400 },
  atime: { flag: 0x400, clear: true },
  nodiratime: { flag: 0x800 },
  diratime: { flag: 0x800, clear: true },
  bind: { flag: 0x1000 },
  rbind: { flag: 0x5000 },
  relatime: { flag: 0x200000 },
  norelatime: { flag: 0x200000, clear: true },
  strictatime: { flag: 0x1000000 },
  nostrictatime: { flag: 0x1000000, clear: true },
  lazytime: { flag: 0x2000000 },
  nolazytime: { flag: 0x2000000, clear: true },
  defaults: { flag: 0, clear: true },
};

export interface MountArguments {
  /** MS_* */
  flags: number;
  /** What the file system itself is told. */
  data: string[];
}

/** Sorts options into flags and what the file system is told; a later option wins over an earlier one. */
export function mountArguments(options: readonly string[]): MountArguments {
  let flags = 0;
  const data: string[] = [];
  for (const option of options) {
    const known = Object.hasOwn(FLAGS, option) ? FLAGS[option] : undefined;
    if (known === undefined) data.push(option);
    else if (known.clear) flags &= ~known.flag;
    else flags |= known.flag;
  }
  return { flags, data };
}

/** mount(2): data is one page, the final NUL byte included. */
export const LONGEST_DATA = 4095;

/**
 * Overlay options that fit mount(2): the folder that all lower directories have in common is taken from their paths, for
 * the mount to be made in that folder. Undefined folder: they fit as they are.
 */
export function compactOverlay(data: readonly string[]): { data: string; folder?: string } {
  const whole = data.join(",");
  if (whole.length <= LONGEST_DATA) return { data: whole };
  const at = data.findIndex((option) => option.startsWith("lowerdir="));
  // A colon in a path is written "\:" (overlayfs.rst).
  const lowers = data[at]?.slice("lowerdir=".length).split(/(?<!\\):/) ?? [];
  const folder = commonFolder(lowers);
  if (folder === "/") return { data: whole };
  const short = lowers.map((path) => path.slice(folder.length + 1)).join(":");
  return { data: data.map((option, index) => (index === at ? `lowerdir=${short}` : option)).join(","), folder };
}

/** The deepest folder that has all of these absolute paths below it. */
function commonFolder(paths: readonly string[]): string {
  const [first = "/", ...rest] = paths;
  if (paths.some((path) => !path.startsWith("/"))) return "/";
  let folder = first.slice(0, first.lastIndexOf("/"));
  while (rest.some((path) => !path.startsWith(`${folder}/`))) folder = folder.slice(0, folder.lastIndexOf("/"));
  return folder || "/";
}
