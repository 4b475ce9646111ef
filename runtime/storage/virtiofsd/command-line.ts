import type { Flavour } from "./find.ts";

/** The limit on open files: virtiofsd keeps one open for each that the guest remembers. Ours holds, which Node has raised as far as it may. */
const KEEP_LIMIT = "--rlimit-nofile=0";

/**
 * virtiofsd's arguments. It confines itself: mount, pid and network namespaces of its own with nothing but the directory in
 * them, a filter of system calls, and only the capabilities that acting as the files' owners takes.
 * - sys_admin is for trusted.* extended attributes, which an overlay of a container's own needs; mount(2) its filter refuses.
 * - Submounts are announced: files of two file systems may have the same inode number, and only so does the guest tell them apart.
 * - A write that takes set-user-ID away is the guest's to see to (no killpriv_v2): left to virtiofsd, the guest would know of it when it asks
 *   for the file's mode the next time, up to a second later, and start the changed program with its owner's rights until then.
 * - Locks stay in the guest, where all its processes see them: a lock on the host would block virtiofsd itself.
 * @param fd a socket that listens. @param directory absolute.
 */
export function virtiofsdArguments(flavour: Flavour, fd: number, directory: string): string[] {
  return flavour === "c" ? cArguments(fd, directory) : rustArguments(fd, directory);
}

function cArguments(fd: number, directory: string): string[] {
  const options = [
    `source=${escapeOption(directory)}`,
    "sandbox=namespace",
    "cache=auto",
    "xattr",
    "posix_acl",
    "no_killpriv_v2",
    "announce_submounts",
    "no_flock",
    "no_posix_lock",
    "modcaps=+sys_admin",
    "log_level=warn",
  ];
  return ["-f", `--fd=${fd}`, KEEP_LIMIT, "-o", options.join(",")];
}

function rustArguments(fd: number, directory: string): string[] {
  return [
    `--fd=${fd}`,
    `--shared-dir=${directory}`,
    "--sandbox=namespace",
    "--cache=auto",
    "--xattr",
    "--posix-acl",
    "--announce-submounts",
    // Descriptors are opened as they are needed, where the file system can: the guest may remember more files than a process may open.
    "--inode-file-handles=prefer",
    "--modcaps=+sys_admin:+dac_read_search",
    KEEP_LIMIT,
    "--log-level=warn",
  ];
}

/** Options are split at commas; a backslash takes a character's meaning away (fuse_opt). */
function escapeOption(value: string): string {
  return value.replaceAll(/[\\,]/g, "\\$&");
}
