import { readlinkSync } from "node:fs";

/** The namespaces of a container that is joined by none, and their files below /proc/PID/ns (namespaces(7)). */
export const FILES = { pid: "pid", network: "net", ipc: "ipc", uts: "uts", mount: "mnt", cgroup: "cgroup" };
/** What keeps a container alive until it is killed. */
export const FOREVER = { process: { args: ["sleep", "1000"] } };

/** Which namespaces a process is in. */
export const ids = (pid: number | "self") => {
  const link = (file: string) => readlinkSync(`/proc/${pid}/ns/${file}`);
  return {
    pid: link("pid"),
    net: link("net"),
    ipc: link("ipc"),
    uts: link("uts"),
    mnt: link("mnt"),
    cgroup: link("cgroup"),
  };
};
