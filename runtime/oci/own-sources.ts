/**
 * Bind mounts of what lies in the container's own root file system. An earlier mount may provide it, which only the guest
 * has: so their sources are looked up there, in the root as it is by then.
 */
import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Mount, Spec } from "../../protocol/oci.ts";
import { isBindMount, isIdMapped } from "./checks/mounts.ts";
import { setAsideMount } from "./set-aside.ts";

/** The configuration with their sources named in the container. @param rootfs absolute, without symbolic links. */
export function takeOwnSources(config: Spec, rootfs: string): Spec {
  // The host's own root has everything below it.
  if (rootfs === "/") return config;
  const mounts = config.mounts?.map((mount): Mount => {
    const own = isBindMount(mount) && !isIdMapped(mount) ? pathIn(rootfs, mount.source ?? "") : undefined;
    if (own === undefined) return mount;
    return setAsideMount(mount, own, mount.options?.includes("rbind") ? "caisson-root-rbind" : "caisson-root-bind");
  });
  return mounts === undefined ? config : { ...config, mounts };
}

/** The path below the root; undefined for another one, and for the root itself, which is there for certain. */
function pathIn(rootfs: string, source: string): string | undefined {
  const path = realPath(source);
  return path.startsWith(`${rootfs}/`) ? path.slice(rootfs.length) : undefined;
}

/** What is not there keeps its name: its folders are followed all the same. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const folder = dirname(path);
    return folder === path ? path : join(realPath(folder), basename(path));
  }
}
