import { CAPABILITIES } from "../../protocol/capabilities.ts";
import type { Capabilities } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { unsupported } from "./unsupported.ts";

const NUMBERS = new Map<string, bigint>(CAPABILITIES.map((name, number) => [name, BigInt(number)]));

/**
 * Two steps: the bounding set, which needs CAP_SETPCAP and so comes before the user changes, and the other four sets,
 * which come after (the change clears them). Without `capabilities` the process gets none, as with runc.
 * Throws CAISSON_E_CONFIG_UNSUPPORTED for a name that linux/capability.h does not have.
 */
export function capabilitySteps(capabilities: Capabilities | undefined): { bounding: Step; sets: Step } {
  const field = "process.capabilities";
  const mask = (set: keyof Capabilities) => maskOf(capabilities?.[set] ?? [], `${field}.${set}`);
  return {
    bounding: {
      op: "boundingSet",
      mask: mask("bounding"),
      field: `${field}.bounding`,
      task: "dropping capabilities from the bounding set",
    },
    sets: {
      op: "capabilities",
      effective: mask("effective"),
      permitted: mask("permitted"),
      inheritable: mask("inheritable"),
      // The kernel raises no ambient capability that is not inheritable and permitted (capabilities(7)); runc's own
      // default configuration asks for such ones, and config.md has a runtime not fail for what cannot be granted.
      ambient: mask("ambient") & mask("inheritable") & mask("permitted"),
      field,
      task: "setting the capabilities",
    },
  };
}

function maskOf(names: readonly string[], field: string): bigint {
  let mask = 0n;
  names.forEach((name, index) => {
    const number = NUMBERS.get(name);
    if (number === undefined)
      throw unsupported(`${field}[${index}]`, `the guest's kernel has no capability "${name}".`);
    mask |= 1n << number;
  });
  return mask;
}
