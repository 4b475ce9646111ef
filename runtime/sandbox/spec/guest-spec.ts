/**
 * What becomes of a container's configuration on its way from the engine to the guest, in this order; what the guest gets of a
 * field, and why, is answered by one of these:
 *
 * 1. readBundle() (read-bundle.ts), by whoever sees the host's files as the engine does. DOCUMENT, of what may not be valid:
 *    a pod's own files are added, security labels and cgroup mounts of the host are dropped, and namespaces of the pod's
 *    other containers get their names in the guest. validateConfig() and normalise() (oci/): from here on it is valid, with
 *    absolute paths. ASIDE: what has no part in the host's files is set aside.
 * 2. Paths of the host become those by which this process finds them (host-paths.ts).
 * 3. takeDisks() (storage/disks/) sets block devices and file systems on them aside: the VM is given them.
 * 4. toGuestSpec(): the list below.
 *
 * All are functions of a configuration and a context; the caller's own object is never changed.
 */
import type { Spec } from "../../../protocol/oci.ts";
import { guestResources } from "../../oci/guest-resources.ts";
import { giveBack } from "../../oci/set-aside.ts";

/** What the rewrites know of the VM. */
export interface GuestContext {
  vcpus: number;
  /** The configuration with the network namespace as the guest has it (SandboxNetwork.inGuest). */
  inNetwork(spec: Spec): Spec;
  /** The configuration with bind mounts named by the paths that the guest has in the share (Share.addContainer). */
  share(spec: Spec): Spec;
}

const REWRITES: readonly ((spec: Spec, context: GuestContext) => Spec)[] = [
  (spec, { inNetwork }) => inNetwork(spec),
  withGuestResources,
  (spec, { share }) => share(spec),
  giveBack,
];

/** The configuration as the guest is to carry it out. Throws as the context's functions do. */
export function toGuestSpec(spec: Spec, context: GuestContext): Spec {
  return REWRITES.reduce((before, rewrite) => rewrite(before, context), spec);
}

function withGuestResources(spec: Spec, { vcpus }: GuestContext): Spec {
  const resources = spec.linux?.resources;
  if (resources === undefined) return spec;
  return { ...spec, linux: { ...spec.linux, resources: guestResources(resources, vcpus) } };
}
