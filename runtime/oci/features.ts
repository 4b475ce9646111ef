import { CAPABILITIES } from "../../protocol/capabilities.ts";
import type { HookName, NamespaceType, Spec } from "../../protocol/oci.ts";
import { OCI_VERSION } from "../../protocol/oci.ts";
import { MOUNT_OPTIONS } from "./checks/mount-options.ts";
import { SECCOMP_ACTIONS, SECCOMP_ARCHITECTURES, SECCOMP_FLAGS, SECCOMP_OPERATORS } from "./seccomp/actions.ts";
import { refuseUnsupported } from "./unsupported.ts";

const HOOKS: readonly HookName[] = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
];

const NAMESPACES: readonly NamespaceType[] = ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"];

/** Without these a configuration is refused whatever else it asks for. */
const NEEDED: readonly NamespaceType[] = ["mount", "network"];

/**
 * What the runtime supports (features.md). Asks the check that refuses a configuration, so that the answer cannot
 * differ from what `create` does.
 */
export function features(version: string) {
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax: OCI_VERSION,
    hooks: HOOKS.filter((name) => carriedOut({ hooks: { [name]: [{ path: "/hook" }] } })),
    mountOptions: MOUNT_OPTIONS,
    linux: {
      namespaces: NAMESPACES,
      capabilities: CAPABILITIES,
      cgroup: { v1: false, v2: true, systemd: true, systemdUser: false, rdma: false },
      seccomp: {
        enabled: carriedOut({ linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW" } } }),
        actions: SECCOMP_ACTIONS,
        operators: SECCOMP_OPERATORS,
        archs: SECCOMP_ARCHITECTURES,
        knownFlags: SECCOMP_FLAGS,
        supportedFlags: SECCOMP_FLAGS,
      },
      apparmor: { enabled: false },
      selinux: { enabled: false },
      intelRdt: { enabled: false },
      mountExtensions: { idmap: { enabled: carriedOut({ mounts: [{ destination: "/x", options: ["idmap"] }] }) } },
      netDevices: { enabled: false },
    },
    annotations: { "io.caisson.version": version },
    potentiallyUnsafeConfigAnnotations: [],
  };
}

function carriedOut({ linux, ...part }: Partial<Spec>): boolean {
  try {
    refuseUnsupported(
      { ociVersion: OCI_VERSION, ...part, linux: { namespaces: NEEDED.map((type) => ({ type })), ...linux } },
      "",
    );
    return true;
  } catch {
    return false;
  }
}
