import { CaissonError } from "../../protocol/errors.ts";

const FIELD = "linux.cgroupsPath";

/**
 * Where below the hierarchy's root a container's cgroup is: `linux.cgroupsPath` taken from that root, whether it is
 * absolute or not (config-linux.md, "Control groups"), else SANDBOX/CONTAINER. systemd's "slice:prefix:name" form is
 * one folder, slice/prefix-name.scope. Throws CAISSON_E_CONFIG_INVALID for a path that would lead elsewhere.
 */
export function cgroupPath(cgroupsPath: string | undefined, sandboxId: string, containerId: string): string {
  const given = cgroupsPath || `${sandboxId}/${containerId}`;
  const systemd = /^([^/:]*):([^/:]*):([^/:]+)$/.exec(given);
  const path = systemd === null ? given : systemdPath(systemd[1] ?? "", systemd[2] ?? "", systemd[3] ?? "");
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  const bad = names.find((name) => name === ".." || name.includes("\0") || name.length > 255);
  if (names.length === 0 || bad !== undefined) {
    const why = names.length === 0 ? "names the root of the hierarchy" : `has a part that is no folder's name: ${bad}`;
    throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${FIELD} ${JSON.stringify(given)} ${why}`, { field: FIELD });
  }
  return names.join("/");
}

function systemdPath(slice: string, prefix: string, name: string): string {
  return `${slice || "system.slice"}/${prefix ? `${prefix}-` : ""}${name}.scope`;
}
