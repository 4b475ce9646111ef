import type { Capabilities } from "../../protocol/oci.ts";
import type { Step } from "../steps.ts";
import { unsupported } from "./refusal.ts";

/** linux/capability.h: the position in the list is the number. */
const NAMES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
];
const NUMBERS = new Map(NAMES.map((name, number) => [name, BigInt(number)]));

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
