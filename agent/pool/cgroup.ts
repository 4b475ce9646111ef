import type { Spec } from "../../protocol/oci.ts";
import { Cgroup } from "../cgroups/cgroup.ts";
import { log } from "../log.ts";

/** Where it is made; no container's own path, whose first part is a name. */
const PATH = ".spare";
/** What engines ask for, beside the devices that are always there. */
const NO_OTHER_DEVICES = [{ allow: false, access: "rwm" }];

/**
 * A cgroup for the next container that does not see where in the hierarchy it is, with the usual device filter: a template
 * has one made, since making it runs much of the kernel that a clone has to translate anew.
 */
export class PooledCgroup {
  readonly #root: string;
  #cgroup: Cgroup | undefined;

  /** @param root the mount point of the cgroup v2 hierarchy. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Makes one unless there is one. Without it containers make their own, so it is not missed when that fails. */
  fill(): void {
    if (this.#cgroup !== undefined) return;
    try {
      const cgroup = Cgroup.create(this.#root, PATH);
      cgroup.restrictDevices(NO_OTHER_DEVICES);
      this.#cgroup = cgroup;
    } catch (error) {
      log("warning", `no cgroup could be made ahead: ${(error as Error).message}`);
    }
  }

  /** The caller's own from then on; undefined when there is none, or when the container sees its cgroup's path. */
  take({ linux }: Spec): Cgroup | undefined {
    const cgroup = this.#cgroup;
    const unseen = linux?.namespaces?.some(({ type, path }) => type === "cgroup" && path === undefined);
    if (unseen !== true) return undefined;
    this.#cgroup = undefined;
    return cgroup;
  }
}
