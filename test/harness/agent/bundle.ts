import { chmodSync, copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Mount, Namespace, Process, Spec } from "../../../protocol/oci.ts";

const BUSYBOX = "/usr/bin/busybox";
const APPLETS = [
  "sh",
  "cat",
  "echo",
  "sleep",
  "true",
  "kill",
  "ls",
  "id",
  "stty",
  "hostname",
  "head",
  "mknod",
  "yes",
  "tty",
];

/** A root file system of busybox-static below `folder`. */
export function makeRootfs(folder: string): string {
  const rootfs = join(folder, "rootfs");
  for (const name of ["bin", "proc", "dev", "tmp", "etc"]) mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync(BUSYBOX, join(rootfs, "bin/busybox"));
  chmodSync(join(rootfs, "bin/busybox"), 0o755);
  for (const applet of APPLETS) symlinkSync("busybox", join(rootfs, "bin", applet));
  return rootfs;
}

const MOUNTS: Mount[] = [
  { destination: "/proc", type: "proc", source: "proc" },
  { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
  { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance", "ptmxmode=0666", "mode=0620"] },
];

export const OWN_NAMESPACES: Namespace[] = [{ type: "pid" }, { type: "mount" }, { type: "ipc" }, { type: "uts" }];

/** A process object that runs these words. */
export function processOf(args: string[], more: Partial<Process> = {}): Process {
  return { args, cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 }, ...more };
}

/** A configuration in which these words run in all namespaces but the network's. */
export function configOf(
  rootfs: string,
  args: string[],
  more: Partial<Spec> = {},
  process: Partial<Process> = {},
): Buffer {
  const config: Spec = {
    ociVersion: "1.2.0",
    root: { path: rootfs },
    process: processOf(args, process),
    mounts: MOUNTS,
    linux: { namespaces: OWN_NAMESPACES },
    ...more,
  };
  return Buffer.from(JSON.stringify(config));
}
