import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import type { Resources } from "../../protocol/oci.ts";
import { loadResources } from "../oci/bundle.ts";
import { validateResources } from "../oci/validate.ts";
import { withDaemon } from "./actions/daemon.ts";
import { type Globals, verb } from "./command.ts";
import { refuse } from "./refuse.ts";
import { type ResourceFlags, resourcesOf } from "./resource-flags.ts";

interface UpdateFlags extends ResourceFlags {
  resources?: string;
  l3CacheSchema?: string;
  memBwSchema?: string;
}

export function command(globals: Globals): Command {
  return verb("update", "Changes the limits of a container; what is not named stays.")
    .argument("<container-id>")
    .option(
      "-r, --resources <file>",
      "an OCI linux.resources object as JSON, - for stdin; other flags are then refused",
    )
    .option("--blkio-weight <n>", "share of block I/O, 10 to 1000")
    .option("--cpu-period <usec>", "period of the hard limit on CPU time")
    .option("--cpu-quota <usec>", "CPU time allowed in a period, -1 for no limit")
    .option("--cpu-burst <usec>", "unused CPU time that may be saved up")
    .option("--cpu-share <n>", "relative weight of CPU time, 2 to 262144")
    .option("--cpu-rt-period <usec>", "refused: only in cgroup v1")
    .option("--cpu-rt-runtime <usec>", "refused: only in cgroup v1")
    .option("--cpu-idle <0|1>", "1: run only when nothing else wants the CPU")
    .option("--cpuset-cpus <list>", "CPUs to use, e.g. 0-1,3")
    .option("--cpuset-mems <list>", "memory nodes to use")
    .option("--memory <bytes>", "limit on memory, -1 for none; 512m and the like, too")
    .option("--memory-reservation <bytes>", "memory kept from being reclaimed")
    .option("--memory-swap <bytes>", "limit on memory and swap together, -1 for none")
    .option("--pids-limit <n>", "most processes and threads, -1 for no limit")
    .option("--l3-cache-schema <schema>", "refused: the VM has no resctrl file system")
    .option("--mem-bw-schema <schema>", "refused: the VM has no resctrl file system")
    .action(async (id: string, { resources: file, l3CacheSchema, memBwSchema, ...flags }: UpdateFlags) => {
      if (l3CacheSchema !== undefined) refuse("--l3-cache-schema", "the VM has no resctrl file system");
      if (memBwSchema !== undefined) refuse("--mem-bw-schema", "the VM has no resctrl file system");
      const resources =
        file === undefined ? validateResources(resourcesOf(flags), "the command line") : await read(file, flags);
      await withDaemon(globals, id, "update", (client) => client.request("update", { resources }));
    });
}

async function read(file: string, flags: ResourceFlags): Promise<Resources> {
  const [other] = Object.keys(flags);
  if (other !== undefined) {
    const flag = other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new CaissonError("CAISSON_E_USAGE", `--resources and --${flag} cannot both say what to change`);
  }
  return await loadResources(file);
}
