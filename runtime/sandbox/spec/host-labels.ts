/**
 * What engines write into every container for the security modules of the host's kernel. The guest's runs without them, so
 * what nobody has asked for is taken out; what a user has asked for stays, to be refused.
 */
import { log } from "../../text/log.ts";

/** Profiles that engines set where nobody has asked for one: containerd's, CRI-O's, Docker's and podman's. */
const DEFAULT_PROFILE =
  /^(cri-containerd\.apparmor\.d|crio-default(-.*)?|docker-default|containers-default-.*|unconfined)$/;

const toLog = (sentence: string) => log.info(sentence);

/** The process, which may not be valid, without them. @param tell is called with what is left out. */
export function dropProcessLabels(process: unknown, tell = toLog): unknown {
  if (!isObject(process)) return process;
  const { apparmorProfile } = process;
  const isDefault = typeof apparmorProfile === "string" && DEFAULT_PROFILE.test(apparmorProfile);
  // SELinux labels are generated for every container of a host that has it.
  const rest = isDefault ? without(process, "apparmorProfile", tell) : process;
  return without(rest, "selinuxLabel", tell);
}

/** The configuration, which may not be valid, without them. */
export function dropLabels(document: unknown): unknown {
  if (!isObject(document)) return document;
  const { process, linux } = document;
  return {
    ...document,
    ...(isObject(process) && { process: dropProcessLabels(process) }),
    ...(isObject(linux) && { linux: without(linux, "mountLabel", toLog) }),
  };
}

function without(part: Record<string, unknown>, field: string, tell: typeof toLog): Record<string, unknown> {
  const { [field]: value, ...rest } = part;
  if (value === undefined || value === "") return part;
  tell(`${field} "${value}" is left out: the engine's own for the host, and the guest's kernel has no such module`);
  return rest;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
