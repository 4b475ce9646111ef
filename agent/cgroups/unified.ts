import { invalid, refuse, type Setting } from "./setting.ts";

const CONTROLLERS = new Set(["cpu", "cpuset", "io", "memory", "pids", "hugetlb", "misc"]);
/** Files of the core that limit the group; the others (cgroup.procs, cgroup.kill, cgroup.freeze ...) are the agent's. */
const CORE_FILES = new Set(["cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"]);

/** The writes for `linux.resources.unified`: file names of known controllers, never a path out of the directory. */
export function unifiedSettings(unified: Record<string, string>): Setting[] {
  return Object.entries(unified).map(([file, value]) => {
    const field = `linux.resources.unified[${JSON.stringify(file)}]`;
    if (!/^[a-z]+(\.[A-Za-z0-9_]+)+$/.test(file)) invalid(field, "must be the name of a cgroup v2 file");
    const controller = file.slice(0, file.indexOf("."));
    if (!CONTROLLERS.has(controller) && !CORE_FILES.has(file)) {
      // runc's and crun's words, which people search for.
      const known = `only ${[...CONTROLLERS].join(", ")} and ${[...CORE_FILES].join(", ")} may be set`;
      refuse(field, `the requested cgroup controller \`${controller}\` is not available: ${known}`);
    }
    return { file, value, field };
  });
}
