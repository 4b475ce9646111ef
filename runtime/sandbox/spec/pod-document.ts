import { dropHostCgroups } from "./host-cgroups.ts";
import { dropLabels, isObject } from "./host-labels.ts";
import { type BoundNamespaces, isFromCrio, podNamespaces } from "./pod-namespaces.ts";

/**
 * A configuration as engines write it, made one for a VM: namespaces of the sandbox's other containers are named as the
 * guest has them, and what the engine sets by itself for the host's kernel is taken out.
 * @param containerOf the container that has this pid on the host.
 * @param bound those of CRI-O's pod, which the container `id` is in.
 */
export function podDocument(
  document: unknown,
  containerOf: (pid: number) => string | undefined,
  bound?: { namespaces: BoundNamespaces; id: string },
): unknown {
  if (!isObject(document)) return document;
  dropLabels(document);
  dropHostCgroups(document);
  const { linux } = document;
  if (isObject(linux) && Array.isArray(linux["namespaces"])) {
    const given = linux["namespaces"];
    const own = bound !== undefined && isFromCrio(document) ? bound.namespaces.inGuest(given, bound.id) : given;
    linux["namespaces"] = podNamespaces(own, containerOf);
  }
  return document;
}
