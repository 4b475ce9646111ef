import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { GUEST_SHARED_MEMORY } from "../../../protocol/guest-contract.ts";
import type { Mount, Spec } from "../../../protocol/oci.ts";
import { isBindMount, isIdMapOption } from "../../oci/checks/mounts.ts";

/** The type of a mount that has been set aside and is not yet the guest's; its source is the memory's name. */
const TYPE = "caisson-shm";
/** statfs(2), f_type */
const TMPFS = 0x01021994;

/**
 * The configuration with the tmpfs that an engine has made on the host for a container's /dev/shm as one of the guest's: it
 * is for memory to be shared between processes, which are all in the guest. Those who have the same one share it there, too.
 * @returns its size as well, bytes; 0 for a configuration that has none.
 */
export function takeSharedMemory(config: Spec): { config: Spec; bytes: number } {
  let bytes = 0;
  const mounts = config.mounts?.map((mount): Mount => {
    const memory = mount.destination === "/dev/shm" && isBindMount(mount) ? memoryOf(mount.source ?? "") : undefined;
    if (memory === undefined) return mount;
    bytes = memory.bytes;
    // Nothing is in it that anybody but the container has made, so there is no owner to map.
    const left = (option: string) => option !== "bind" && option !== "rbind" && !isIdMapOption(option);
    const options = mount.options?.filter(left) ?? [];
    return { destination: mount.destination, type: TYPE, source: memory.name, options };
  });
  return bytes === 0 ? { config, bytes } : { config: { ...config, mounts }, bytes };
}

/** The configuration for the guest: what takeSharedMemory() took is a bind mount there. */
export function giveSharedMemory(config: Spec): Spec {
  if (!config.mounts?.some(({ type }) => type === TYPE)) return config;
  const mounts = config.mounts.map((mount): Mount => {
    if (mount.type !== TYPE) return mount;
    const source = `${GUEST_SHARED_MEMORY}/${mount.source}`;
    return { ...mount, type: "bind", source, options: ["bind", ...(mount.options ?? [])] };
  });
  return { ...config, mounts };
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
