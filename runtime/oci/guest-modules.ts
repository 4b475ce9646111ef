/** The kernel modules that a container sees are those of the kernel that it runs on, which is the guest's. */
import { realpathSync } from "node:fs";
import type { Spec } from "../../protocol/oci.ts";
import { isBindMount } from "./checks/mounts.ts";
import { setAsideMount } from "./set-aside.ts";

const MODULES = "/usr/lib/modules";

/** `-v /lib/modules:/lib/modules`, as programs that load modules ask for, means the running kernel's. */
export function takeModules(config: Spec): Spec {
  const mounts = config.mounts?.map((mount) =>
    isBindMount(mount) && isModules(mount.source ?? "") ? setAsideMount(mount, MODULES) : mount,
  );
  return mounts === undefined ? config : { ...config, mounts };
}

function isModules(source: string): boolean {
  if (source === "/lib/modules" || source === MODULES) return true;
  try {
    return realpathSync(source) === realpathSync("/lib/modules");
  } catch {
    return false;
  }
}
