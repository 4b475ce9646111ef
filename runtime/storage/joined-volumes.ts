import { statSync } from "node:fs";
import { hasAttribute } from "../../native/posix/index.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";

/** Which volumes have POSIX access lists in the guest: those whose directory has one on the host, all, or none. */
export type VolumeAccessLists = "auto" | "on" | "off";

/** The directory's own list, and the one that what is made in it gets. */
const ACCESS_LISTS = ["system.posix_acl_access", "system.posix_acl_default"];

/**
 * The volumes with access lists, which are parts of the share's own file system for the guest (native/vhost-proxy). So they are all of one
 * file system of the host: in two, different files may have the same inode number, and programs would take them for one.
 */
export class JoinedVolumes {
  readonly #wanted: VolumeAccessLists;
  /** How many there are, and of which device. */
  #count = 0;
  #device = 0n;

  constructor(wanted: VolumeAccessLists) {
    this.#wanted = wanted;
  }

  /** Whether the directory becomes one of them: leave() takes it out again. */
  join(directory: string, field: string): boolean {
    if (this.#wanted === "off") return false;
    if (this.#wanted === "auto" && !hasAccessList(directory)) return false;
    const { dev } = statSync(directory, { bigint: true });
    if (this.#count > 0 && dev !== this.#device) {
      const why = "it is on another file system than a volume that has them";
      log.warning(`${field}: the container sees no access lists (setfacl) of ${directory}, since ${why}`);
      return false;
    }
    this.#device = dev;
    this.#count++;
    return true;
  }

  leave(): void {
    this.#count--;
  }
}

function hasAccessList(directory: string): boolean {
  try {
    return ACCESS_LISTS.some((name) => hasAttribute(directory, name));
  } catch (error) {
    log.debug("it is not known whether a directory has access lists", { directory, error: formatError(error) });
    return false;
  }
}
