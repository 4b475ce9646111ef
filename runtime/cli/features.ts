import type { Command } from "commander";
import { CAPABILITIES } from "../../protocol/capabilities.ts";
import type { HookName, NamespaceType, Spec } from "../../protocol/oci.ts";
import { OCI_VERSION } from "../../protocol/oci.ts";
import { MOUNT_OPTIONS } from "../oci/mount-options.ts";
import { SECCOMP_ACTIONS, SECCOMP_ARCHITECTURES, SECCOMP_FLAGS, SECCOMP_OPERATORS } from "../oci/seccomp/actions.ts";
import { refuseUnsupported } from "../oci/unsupported.ts";
import { verb } from "./command.ts";
import { print } from "./output.ts";
import { VERSION } from "./version.ts";

const HOOKS: readonly HookName[] = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
];

const NAMESPACES: readonly NamespaceType[] = ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"];

export function command(): Command {
  return verb(
    "features",
    "Prints what the runtime supports as JSON (features.md of the OCI runtime specification).",
  ).action(() => {
    print(`${JSON.stringify(features(), null, 4)}\n`);
  });
}

/** Without these a configuration is refused whatever else it asks for. */
const NEEDED: readonly NamespaceType[] = ["mount", "network"];

/** Asks the check that refuses a configuration, so that the answer cannot differ from what `create` does. */
export function features() {
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
    annotations: { "io.caisson.version": VERSION },
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
