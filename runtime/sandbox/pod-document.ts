import { log } from "../log.ts";
import { podNamespaces } from "./pod-namespaces.ts";

/** Profiles that engines set where nobody has asked for one: containerd's, CRI-O's, Docker's and podman's. */
const DEFAULT_PROFILE =
  /^(cri-containerd\.apparmor\.d|crio-default(-.*)?|docker-default|containers-default-.*|unconfined)$/;

/**
 * A configuration as containerd and CRI engines write it, made one for a VM: namespaces of the pod's other containers are
 * named as the guest has them, and what the engine sets by itself for the host's kernel is taken out, since the guest's
 * runs without security modules. What a user has asked for stays, to be carried out or refused.
 * @param containerOf the container that has this pid on the host.
 */
export function podDocument(document: unknown, containerOf: (pid: number) => string | undefined): unknown {
  if (!isObject(document)) return document;
  const { process, linux } = document;
  if (isObject(process)) {
    const { apparmorProfile } = process;
    if (typeof apparmorProfile === "string" && DEFAULT_PROFILE.test(apparmorProfile)) drop(process, "apparmorProfile");
    // Labels are generated for every container of a host with SELinux.
    drop(process, "selinuxLabel");
  }
  if (isObject(linux)) {
    drop(linux, "mountLabel");
    if (Array.isArray(linux["namespaces"])) linux["namespaces"] = podNamespaces(linux["namespaces"], containerOf);
  }
  return document;
}

function drop(part: Record<string, unknown>, field: string): void {
  if (part[field] === undefined || part[field] === "") return;
  log.info(
    `${field} "${part[field]}" is left out: the engine's own for the host, and the guest's kernel has no such module`,
  );
  delete part[field];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
