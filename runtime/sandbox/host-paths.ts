import { realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Spec } from "../../protocol/oci.ts";
import { isBindMount } from "../oci/checks/mounts.ts";
import { inCallersMountNamespace } from "../storage/mount-namespace.ts";
import { callersMountTree, withMountTree } from "../storage/mount-tree.ts";

/** The configuration with every path of the host, but for the root file system's, changed. */
export function withSources(config: Spec, change: (path: string) => string): Spec {
  const mounts = config.mounts?.map((mount) =>
    isBindMount(mount) && mount.source !== undefined ? { ...mount, source: change(mount.source) } : mount,
  );
  const createContainer = config.hooks?.createContainer?.map((hook) => ({
    ...hook,
    args: hook.args ?? [hook.path],
    path: change(hook.path),
  }));
  const hooks = createContainer === undefined ? config.hooks : { ...config.hooks, createContainer };
  return { ...config, ...(mounts && { mounts }), ...(hooks && { hooks }) };
}

/**
 * Runs something synchronous with a configuration that leads to what whoever started this process has mounted by now, on
 * any host: a pod's later containers have volumes that were mounted after its VM had started.
 * @param directory of the bundle. @param share of the sandbox.
 */
export function withCallersMounts<T>(spec: Spec, directory: string, share: string, run: (spec: Spec) => T): T {
  const real = (path: string): string | undefined => {
    try {
      return realpathSync(resolve(directory, path));
    } catch {
      return undefined;
    }
  };
  const found = new Map<string, string>();
  inCallersMountNamespace(() =>
    withSources(spec, (path) => {
      const there = real(path);
      if (there !== undefined) found.set(path, there);
      return path;
    }),
  );
  if (found.size === 0) return run(spec);
  return withMountTree(callersMountTree(), dirname(share), (seen) =>
    run(
      withSources(spec, (path) => {
        const there = found.get(path);
        return there === undefined ? path : join(seen, there);
      }),
    ),
  );
}
