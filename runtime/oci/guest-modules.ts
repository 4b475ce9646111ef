/** The kernel modules that a container sees are those of the kernel that it runs on, which is the guest's. */
import { realpathSync } from "node:fs";
import type { Mount, Spec } from "../../protocol/oci.ts";
import { isBindMount } from "./checks/mounts.ts";

const MODULES = "/usr/lib/modules";
/** The type of a bind mount of the host's modules while the mount is set aside. */
const TYPE = "caisson-modules";

/** `-v /lib/modules:/lib/modules`, as programs that load modules ask for, means the running kernel's. */
export function takeModules(config: Spec): Spec {
  const mounts = config.mounts?.map((mount): Mount => {
    if (!isBindMount(mount) || !isModules(mount.source ?? "")) return mount;
    const options = mount.options?.filter((option) => option !== "bind" && option !== "rbind") ?? [];
    return { ...mount, type: TYPE, source: MODULES, options };
  });
  return mounts === undefined ? config : { ...config, mounts };
}

/** The configuration for the guest, whose own modules they are there. */
export function giveModules(config: Spec): Spec {
  if (!config.mounts?.some(({ type }) => type === TYPE)) return config;
  const mounts = config.mounts.map((mount): Mount => {
    if (mount.type !== TYPE) return mount;
    return { ...mount, type: "bind", options: ["bind", ...(mount.options ?? [])] };
  });
  return { ...config, mounts };
}

function isModules(source: string): boolean {
  if (source === "/lib/modules" || source === MODULES) return true;
  try {
    return realpathSync(source) === realpathSync("/lib/modules");
  } catch {
    return false;
  }
}
