/** Mount options that are flags, config.md "Linux mount options"; what is in none of these lists goes to the file system. */

const FLAGS: readonly string[] = [
  ..."async atime bind defaults dev diratime dirsync exec lazytime loud mand noatime nodev nodiratime".split(" "),
  ..."noexec nolazytime nomand norelatime nostrictatime nosuid nosymfollow rbind relatime remount ro".split(" "),
  ..."iversion noiversion rw silent strictatime suid symfollow sync".split(" "),
];

const RECURSIVE: readonly string[] = [
  ..."ratime rdev rdiratime rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid".split(" "),
  ..."rnosymfollow rrelatime rro rrw rstrictatime rsuid rsymfollow".split(" "),
];

const PROPAGATION: readonly string[] = "private rprivate rshared rslave runbindable shared slave unbindable".split(" ");

/** Done by the runtime, not the kernel. */
const RUNTIME: readonly string[] = ["idmap", "loop", "ridmap", "tmpcopyup"];

/** Every option that the runtime knows by name, sorted: `caisson features` lists them. */
export const MOUNT_OPTIONS: readonly string[] = [...FLAGS, ...RECURSIVE, ...PROPAGATION, ...RUNTIME].sort();

/** The options that only a file system can understand: "size=65536k". */
export function fileSystemOptions(options: readonly string[]): string[] {
  return options.filter((option) => option !== "" && !MOUNT_OPTIONS.includes(option));
}
