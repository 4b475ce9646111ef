import { closeSync } from "node:fs";
import { loadDeviceFilter } from "../../native/posix/index.ts";

/** Filters that no container uses are kept up to this number; engines have one or two. */
const SPARE_LIMIT = 8;

/** A device filter that the kernel has verified; cgroups attach it by its descriptor. */
export interface LoadedFilter {
  readonly fd: number;
  users: number;
}

/** By their instructions: verifying one costs the kernel more than all else of a cgroup. */
const loaded = new Map<string, LoadedFilter>();

/** The filter of these instructions, loaded if need be; for releaseFilter() when the cgroup has it no more. */
export function takeFilter(program: Uint8Array): LoadedFilter {
  const key = Buffer.from(program).toString("latin1");
  let filter = loaded.get(key);
  if (filter === undefined) {
    dropSpares();
    filter = { fd: loadDeviceFilter(program), users: 0 };
    loaded.set(key, filter);
  }
  filter.users += 1;
  return filter;
}

export function releaseFilter(filter: LoadedFilter): void {
  filter.users -= 1;
}

/** The oldest first. One in use has to stay: the kernel asks for its descriptor when it is to be replaced. */
function dropSpares(): void {
  for (const [key, { fd, users }] of loaded) {
    if (loaded.size < SPARE_LIMIT) return;
    if (users > 0) continue;
    loaded.delete(key);
    closeSync(fd);
  }
}
