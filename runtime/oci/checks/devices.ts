/** config-linux.md: Devices, Allowed Device list. */
import type { DeviceRule } from "../../../protocol/oci.ts";
import { absolutePath, type Check } from "./check.ts";
import type { Problem } from "./problem.ts";

/** makedev(3) on Linux: 12 bits for the major number, 20 for the minor. */
const HIGHEST = { major: 0xfff, minor: 0xfffff };

export const devices: Check = function* ({ linux }) {
  for (const [index, device] of linux?.devices?.entries() ?? []) {
    const field = `linux.devices[${index}]`;
    yield* absolutePath(`${field}.path`, device.path);
    for (const name of ["major", "minor"] as const) {
      const number = device[name];
      if (device.type === "p") continue;
      if (number === undefined) yield { field: `${field}.${name}`, message: `is required for type "${device.type}"` };
      else yield* deviceNumber(`${field}.${name}`, number, name, 0);
    }
  }
};

/** `field` names the list of rules. */
export function* deviceRules(rules: readonly DeviceRule[], field: string): Iterable<Problem> {
  for (const [index, rule] of rules.entries()) {
    for (const name of ["major", "minor"] as const) {
      yield* deviceNumber(`${field}[${index}].${name}`, rule[name] ?? -1, name, -1);
    }
    // Other letters mean nothing, as for runc (normalise.ts warns of them).
    if (!/^$|[rwm]/.test(rule.access ?? "")) {
      const message = `must have some of the letters r, w and m, not ${JSON.stringify(rule.access)}`;
      yield { field: `${field}[${index}].access`, message };
    }
  }
}

/** `lowest` is -1 where that means every number. */
export function* deviceNumber(
  field: string,
  number: number,
  name: "major" | "minor",
  lowest: number,
): Iterable<Problem> {
  if (number < lowest || number > HIGHEST[name]) {
    yield { field, message: `must be from ${lowest} to ${HIGHEST[name]}, not ${number}` };
  }
}
