import { dropLabels, isObject } from "./host-labels.ts";
import { podNamespaces } from "./pod-namespaces.ts";

/**
 * A configuration as engines write it, made one for a VM: namespaces of the sandbox's other containers are named as the
 * guest has them, and what the engine sets by itself for the host's kernel is taken out.
 * @param containerOf the container that has this pid on the host.
 */
export function podDocument(document: unknown, containerOf: (pid: number) => string | undefined): unknown {
  if (!isObject(document)) return document;
  dropLabels(document);
  const { linux } = document;
  if (isObject(linux) && Array.isArray(linux["namespaces"])) {
    linux["namespaces"] = podNamespaces(linux["namespaces"], containerOf);
  }
  return document;
}
