import { weightOfShares } from "../../protocol/cpu-weight.ts";
import type { CpuResources, Int64 } from "../../protocol/oci.ts";
import { invalid, type ReadCgroupFile, refuse, type Setting } from "./setting.ts";

const FIELD = "linux.resources.cpu";
const DEFAULT_PERIOD = "100000";

/** The writes for `linux.resources.cpu` except its cpuset half; throws CaissonError naming the field it cannot honour. */
export function cpuSettings(cpu: CpuResources, read: ReadCgroupFile): Setting[] {
  if (isSet(cpu.realtimeRuntime)) refuse(`${FIELD}.realtimeRuntime`, "cgroup v2 has no realtime bandwidth control");
  if (isSet(cpu.realtimePeriod)) refuse(`${FIELD}.realtimePeriod`, "cgroup v2 has no realtime bandwidth control");
  const settings: Setting[] = [];
  if (cpu.idle !== undefined) settings.push({ file: "cpu.idle", value: cpu.idle.toString(), field: `${FIELD}.idle` });
  if (isSet(cpu.shares)) {
    // The kernel refuses a weight for a cgroup that cpu.idle made SCHED_IDLE (EINVAL).
    if (Number(cpu.idle ?? 0) === 1) invalid(`${FIELD}.shares`, `has no meaning while ${FIELD}.idle is 1`);
    settings.push({ file: "cpu.weight", value: `${weightOfShares(cpu.shares)}`, field: `${FIELD}.shares` });
  }
  settings.push(...bandwidth(cpu, read));
  return settings;
}

function bandwidth(cpu: CpuResources, read: ReadCgroupFile): Setting[] {
  const settings: Setting[] = [];
  const field = isSet(cpu.quota) ? `${FIELD}.quota` : `${FIELD}.period`;
  if (isSet(cpu.quota) || isSet(cpu.period)) {
    const [quotaNow = "max", periodNow = DEFAULT_PERIOD] = read("cpu.max")?.split(" ") ?? [];
    const quota = isSet(cpu.quota) ? (cpu.quota > 0 ? cpu.quota.toString() : "max") : quotaNow;
    const period = isSet(cpu.period) ? cpu.period.toString() : periodNow;
    settings.push({ file: "cpu.max", value: `${quota} ${period}`, field });
  }
  if (cpu.burst !== undefined) {
    const burst = { file: "cpu.max.burst", value: cpu.burst.toString(), field: `${FIELD}.burst` };
    // The kernel keeps burst <= quota at every step: shrink it before the quota, raise it after.
    const shrinks = BigInt(cpu.burst) < BigInt(read("cpu.max.burst") ?? 0);
    settings.splice(shrinks ? 0 : settings.length, 0, burst);
  }
  return settings;
}

function isSet(value: Int64 | undefined): value is Int64 {
  return value !== undefined && Number(value) !== 0;
}
