import { realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Spec } from "../../../protocol/oci.ts";
import { isBindMount } from "../../oci/checks/mounts.ts";
import { isOnDisk, withDiskPaths } from "../../storage/disks/kinds.ts";
import { inCallersMountNamespace } from "../../storage/mount-namespace.ts";
import { callersMountTree, withMountTree } from "../../storage/mount-tree.ts";
import { isOverlay, withOverlayPaths } from "../../storage/overlay.ts";

/** The configuration with every path of the host, but for the root file system's, changed. */
export function withSources(config: Spec, change: (path: string) => string): Spec {
  const mounts = config.mounts?.map((mount) => {
    if (isOverlay(mount)) return withOverlayPaths(mount, change);
    if (isOnDisk(mount)) return withDiskPaths(mount, change);
    return isBindMount(mount) && mount.source !== undefined ? { ...mount, source: change(mount.source) } : mount;
  });
  const createContainer = config.hooks?.createContainer?.map((hook) => ({
    ...hook,
    args: hook.args ?? [hook.path],
    path: change(hook.path),
  }));
  const hooks = createContainer === undefined ? config.hooks : { ...config.hooks, createContainer };
  return { ...config, ...(mounts && { mounts }), ...(hooks && { hooks }) };
}

/** What of a container is on the host. */
export interface HostFiles {
  spec: Spec;
  /** The directory of the root file system. */
  rootfs: string;
  /** The bundle's directory. */
  directory: string;
}

/**
 * Runs something synchronous with a configuration and a root file system that lead to what whoever started this process has
 * mounted by now, on any host: a pod's later containers have what was mounted after its VM had started.
 * @param share of the sandbox.
 * @param ownRootfs whether this process has mounted the root file system, or else the engine has.
 */
export function withCallersMounts<T>(
  files: HostFiles,
  { share, ownRootfs }: { share: string; ownRootfs: boolean },
  run: (found: HostFiles) => T,
): T {
  const { spec, rootfs, directory } = files;
  const real = (path: string): string | undefined => {
    try {
      return realpathSync(resolve(directory, path));
    } catch {
      return undefined;
    }
  };
  const found = new Map<string, string>();
  const look = (path: string): string => {
    const there = real(path);
    if (there !== undefined) found.set(path, there);
    return path;
  };
  inCallersMountNamespace(() => {
    if (!ownRootfs) look(rootfs);
    withSources(spec, look);
  });
  if (found.size === 0) return run(files);
  return withMountTree(callersMountTree(), dirname(share), (seen) => {
    const lead = (path: string): string => {
      const there = found.get(path);
      return there === undefined ? path : join(seen, there);
    };
    return run({ spec: withSources(spec, lead), rootfs: ownRootfs ? rootfs : lead(rootfs), directory });
  });
}
