import type { Spec } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import type { Namespaces } from "./namespaces.ts";
import { invalid, unsupported } from "./unsupported.ts";

/** The sysctls of the ipc namespace (ipc_namespaces(7)). */
const IPC = ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"].map(
  (name) => `kernel/${name}`,
);

/**
 * Writes the settings that belong to one of the container's namespaces, through the guest's own /proc (the kernel goes
 * by the writer's namespaces, and nothing in the image can stand in the way). The network is the sandbox's alone, even
 * where the container has no network namespace of its own in the guest.
 * Throws CAISSON_E_CONFIG_UNSUPPORTED for a setting of the whole guest.
 */
export function sysctlSteps(config: Spec, namespaces: Namespaces): Step[] {
  return Object.entries(config.linux?.sysctl ?? {}).map(([name, value]) => {
    const field = `linux.sysctl[${JSON.stringify(name)}]`;
    const path = sysctlPath(name);
    if (path.split("/").some((part) => part === "" || part === "." || part === ".."))
      throw invalid(field, "is no sysctl");
    refuseForeign(path, namespaces, field);
    return {
      op: "writeFile",
      path: `/proc/sys/${path}`,
      data: value,
      field,
      subject: value,
      task: "setting the sysctl",
    };
  });
}

/** sysctl(8): the first separator decides; with dots, a slash stands for a dot in a name (`net.ipv4.conf.eth0/1.x`). */
function sysctlPath(name: string): string {
  if (/^[^./]*\//.test(name)) return name;
  return name.replace(/[./]/g, (separator) => (separator === "." ? "/" : "."));
}

function refuseForeign(path: string, namespaces: Namespaces, field: string): void {
  if (path.startsWith("net/")) return;
  if (path === "kernel/hostname") throw unsupported(field, `use the field "hostname"`);
  const type = namespaceOf(path);
  if (type === undefined)
    throw unsupported(field, "is no setting of a namespace, so it cannot be set for one container");
  if (!namespaces.has(type)) throw invalid(field, `needs a namespace of type "${type}" in linux.namespaces`);
}

function namespaceOf(path: string): "uts" | "ipc" | "user" | undefined {
  if (path === "kernel/domainname") return "uts";
  if (IPC.includes(path) || path.startsWith("fs/mqueue/")) return "ipc";
  return path.startsWith("user/") ? "user" : undefined;
}
