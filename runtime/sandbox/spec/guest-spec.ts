/**
 * What becomes of a container's configuration on its way from the engine to the guest, in this order; what the guest gets of a
 * field, and why, is answered by one of these:
 *
 * 1. podDocument() (pod-document.ts), as the engine has written it: security labels and cgroup mounts of the host are dropped, and
 *    namespaces of the pod's other containers get their names in the guest.
 * 2. validateConfig() and normalise() (oci/): from here on it is valid, with absolute paths.
 * 3. Set aside, since the host's files have no part in it: takeOwnSources() and takeModules() (oci/), takeSharedMemory().
 * 4. Paths of the host become those by which this process finds them (host-paths.ts).
 *    takeDisks() (storage/disks/) sets block devices and file systems on them aside.
 * 5. forShare(): the sandbox's network, and resources in the guest's numbers.
 * 6. Share.addContainer() (storage/) makes the bind mounts and names them by the guest's paths.
 * 7. forGuest(): what was set aside comes back, by the guest's own paths.
 *
 * Steps 3, 5 and 7 are pure functions of a configuration; the caller's own object is never changed.
 */
import type { Spec } from "../../../protocol/oci.ts";
import { giveModules } from "../../oci/guest-modules.ts";
import { guestResources } from "../../oci/guest-resources.ts";
import { giveOwnSources } from "../../oci/own-sources.ts";
import { giveDisks } from "../../storage/disks/take.ts";
import { giveSharedMemory } from "./shared-memory.ts";

/** What the rewrites know of the VM. */
export interface GuestContext {
  vcpus: number;
  /** The configuration with the network namespace as the guest has it (SandboxNetwork.inGuest). */
  inNetwork(spec: Spec): Spec;
}

const FOR_SHARE: readonly ((spec: Spec, context: GuestContext) => Spec)[] = [
  (spec, { inNetwork }) => inNetwork(spec),
  withGuestResources,
];
const FOR_GUEST: readonly ((spec: Spec) => Spec)[] = [giveSharedMemory, giveOwnSources, giveModules, giveDisks];

/** The configuration as the share is to serve it. Throws as `inNetwork` does. */
export function forShare(spec: Spec, context: GuestContext): Spec {
  return FOR_SHARE.reduce((before, rewrite) => rewrite(before, context), spec);
}

/** The configuration that the share has returned, as the guest is to carry it out. */
export function forGuest(spec: Spec): Spec {
  return FOR_GUEST.reduce((before, rewrite) => rewrite(before), spec);
}

function withGuestResources(spec: Spec, { vcpus }: GuestContext): Spec {
  const resources = spec.linux?.resources;
  if (resources === undefined) return spec;
  return { ...spec, linux: { ...spec.linux, resources: guestResources(resources, vcpus) } };
}
