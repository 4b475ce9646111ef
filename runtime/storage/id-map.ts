/** Id-mapped bind mounts (config.md, Mounts: uidMappings, gidMappings, idmap, ridmap), made on the host. */
import type { IdMapping, Mount, Spec } from "../../protocol/oci.ts";
import { isIdMapOption, isIdMapped } from "../oci/checks/mounts.ts";

/** A map of ids as the kernel takes it, and whether it is for the mounts below, too. */
export interface IdMap {
  /** Lines of /proc/PID/uid_map: an id of the file system, the id that it is shown as, how many. */
  uids: string;
  gids: string;
  recursive: boolean;
}

/** The map of a mount: its own, else that of the container's user namespace. Undefined when it asks for none. */
export function idMapOf(mount: Mount, linux: Spec["linux"]): IdMap | undefined {
  if (!isIdMapped(mount)) return undefined;
  const isOwn = (mount.uidMappings ?? []).length > 0;
  const { uidMappings = [], gidMappings = [] } = (isOwn ? mount : linux) ?? {};
  // The later of the two options wins, as runc has it.
  const recursive = mount.options?.findLast(isIdMapOption) === "ridmap";
  return { uids: lines(uidMappings), gids: lines(gidMappings), recursive };
}

/** The mount for the guest, which has it mapped already. */
export function withoutIdMap({ uidMappings: _, gidMappings: __, ...mount }: Mount): Mount {
  const { options } = mount;
  return options === undefined ? mount : { ...mount, options: options.filter((option) => !isIdMapOption(option)) };
}

function lines(mappings: readonly IdMapping[]): string {
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
}
