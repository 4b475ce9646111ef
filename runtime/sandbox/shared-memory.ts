import { statfsSync } from "node:fs";
import type { Mount, Spec } from "../../protocol/oci.ts";
import { isBindMount } from "../oci/checks/mounts.ts";

/** Where the guest has the memory that its containers share (agent/shared-memory.ts). */
const GUEST_SHARED_MEMORY = "/run/caisson/shm";
/** Of a mount that has been taken from the host's file system and is not yet the guest's. */
const TYPE = "caisson-shm";
/** statfs(2), f_type */
const TMPFS = 0x01021994;

/**
 * The configuration with the tmpfs that a pod's containers share on /dev/shm as one of the guest's: the engine has made it on
 * the host, for memory to be shared between processes, which are all in the guest.
 * @returns its size as well, bytes; 0 for a configuration that has none.
 */
export function takeSharedMemory(config: Spec): { config: Spec; bytes: number } {
  let bytes = 0;
  const mounts = config.mounts?.map((mount): Mount => {
    const size = mount.destination === "/dev/shm" && isBindMount(mount) ? tmpfsSize(mount.source ?? "") : 0;
    if (size === 0) return mount;
    bytes = size;
    const options = mount.options?.filter((option) => option !== "bind" && option !== "rbind") ?? [];
    return { destination: mount.destination, type: TYPE, source: "shm", options };
  });
  return bytes === 0 ? { config, bytes } : { config: { ...config, mounts }, bytes };
}

/** The configuration for the guest: what takeSharedMemory() took is a bind mount there. */
export function giveSharedMemory(config: Spec): Spec {
  if (!config.mounts?.some(({ type }) => type === TYPE)) return config;
  const mounts = config.mounts.map((mount): Mount => {
    if (mount.type !== TYPE) return mount;
    return { ...mount, type: "bind", source: GUEST_SHARED_MEMORY, options: ["bind", ...(mount.options ?? [])] };
  });
  return { ...config, mounts };
}

/** 0 for what is no tmpfs, or is not there. */
function tmpfsSize(path: string): number {
  try {
    const { type, blocks, bsize } = statfsSync(path);
    return type === TMPFS ? blocks * bsize : 0;
  } catch {
    return 0;
  }
}
