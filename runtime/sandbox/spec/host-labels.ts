/**
 * What engines write into every container for the security modules of the host's kernel. The guest's runs without them, so
 * what nobody has asked for is taken out; what a user has asked for stays, to be refused.
 */
import { log } from "../../text/log.ts";

/** Profiles that engines set where nobody has asked for one: containerd's, CRI-O's, Docker's and podman's. */
const DEFAULT_PROFILE =
  /^(cri-containerd\.apparmor\.d|crio-default(-.*)?|docker-default|containers-default-.*|unconfined)$/;

/** Takes them out of a process, which may not be valid. */
export function dropProcessLabels(process: unknown): void {
  if (!isObject(process)) return;
  const { apparmorProfile } = process;
  if (typeof apparmorProfile === "string" && DEFAULT_PROFILE.test(apparmorProfile)) drop(process, "apparmorProfile");
  // Labels are generated for every container of a host with SELinux.
  drop(process, "selinuxLabel");
}

/** Takes them out of a configuration, which may not be valid. */
export function dropLabels(document: unknown): void {
  if (!isObject(document)) return;
  dropProcessLabels(document["process"]);
  if (isObject(document["linux"])) drop(document["linux"], "mountLabel");
}

function drop(part: Record<string, unknown>, field: string): void {
  if (part[field] === undefined || part[field] === "") return;
  log.info(
    `${field} "${part[field]}" is left out: the engine's own for the host, and the guest's kernel has no such module`,
  );
  delete part[field];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
