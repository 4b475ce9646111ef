import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { GUEST_SHARED_MEMORY } from "../../../protocol/guest-contract.ts";
import type { Mount, Spec } from "../../../protocol/oci.ts";
import { isBindMount, isIdMapOption } from "../../oci/checks/mounts.ts";
import { isSetAside, OWN_OPTION, setAsideMount } from "../../oci/set-aside.ts";

/** statfs(2), f_type */
const TMPFS = 0x01021994;

/** An option of such a mount: the memory's size, bytes. */
const SIZE = `${OWN_OPTION}size=`;

/**
 * The configuration with the tmpfs that an engine has made on the host for a container's /dev/shm as one of the guest's: it
 * is for memory to be shared between processes, which are all in the guest. Those who have the same one share it there, too.
 */
export function takeSharedMemory(config: Spec): Spec {
  let found = false;
  const mounts = config.mounts?.map((mount): Mount => {
    const memory = mount.destination === "/dev/shm" && isBindMount(mount) ? memoryOf(mount.source ?? "") : undefined;
    if (memory === undefined) return mount;
    found = true;
    // Nothing is in it that anybody but the container has made, so there is no owner to map.
    const left = mount.options?.filter((option) => !isIdMapOption(option)) ?? [];
    const plain = { destination: mount.destination, options: [...left, `${SIZE}${memory.bytes}`] };
    return setAsideMount(plain, `${GUEST_SHARED_MEMORY}/${memory.name}`);
  });
  return found ? { ...config, mounts } : config;
}

/** The size of what takeSharedMemory() took, bytes; 0 for a configuration that has none. */
export function sharedMemoryBytes({ mounts = [] }: Spec): number {
  const options = mounts.filter(isSetAside).flatMap(({ options: given = [] }) => given);
  return Number(options.findLast((option) => option.startsWith(SIZE))?.slice(SIZE.length) ?? 0);
}

/** Undefined for what is no tmpfs with all that is in it, or is not there: a folder of one may be a volume. */
function memoryOf(path: string): { name: string; bytes: number } | undefined {
  try {
    const { type, blocks, bsize } = statfsSync(path);
    const { dev } = statSync(path);
    if (type !== TMPFS || dev === statSync(dirname(path)).dev) return undefined;
    return { name: String(dev), bytes: blocks * bsize };
  } catch {
    return undefined;
  }
}
