import type { CpuResources } from "../../protocol/oci.ts";
import { invalid, type Setting } from "./setting.ts";

const FIELD = "linux.resources.cpu";
const LIST = /^\d+(-\d+)?(,\d+(-\d+)?)*$/;

/** The writes for `linux.resources.cpu.cpus` and `.mems`: lists as in cpuset(7), "0-2,4", of the guest's own numbers. */
export function cpusetSettings(cpu: CpuResources): Setting[] {
  const settings: Setting[] = [];
  for (const name of ["cpus", "mems"] as const) {
    const list = cpu[name];
    if (list === undefined || list === "") continue;
    const field = `${FIELD}.${name}`;
    if (!LIST.test(list)) invalid(field, `must be a list like "0-2,4", not ${JSON.stringify(list)}`);
    settings.push({ file: `cpuset.${name}`, value: list, field });
  }
  return settings;
}
