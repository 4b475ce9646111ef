import type { IdMapping, Process, Spec, User } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { invalid } from "./unsupported.ts";

/** What runc leaves a process with when `process.user.umask` is absent. */
const DEFAULT_UMASK = 0o022;

/** Takes over the container's root inside its user namespace: everything that is made from here on belongs to it. */
export const BECOME_ROOT: Step = {
  op: "identity",
  uid: 0,
  gid: 0,
  groups: [],
  field: "linux.uidMappings",
  task: "becoming root of the user namespace",
};

export function identityStep(user: User | undefined): Step {
  const uid = user?.uid ?? 0;
  const gid = user?.gid ?? 0;
  const groups = user?.additionalGids ?? [];
  return {
    op: "identity",
    uid,
    gid,
    groups,
    field: "process.user",
    subject: `${uid}:${gid}`,
    task: "changing to the user",
  };
}

export function umaskStep(user: User | undefined): Step {
  return {
    op: "umask",
    mask: user?.umask ?? DEFAULT_UMASK,
    field: "process.user.umask",
    task: "setting the umask",
  };
}

/**
 * Gives stdio to the user, so that he can open /dev/stdout again (the ownership of the group stays). Pipes come from
 * outside and belong to the guest's root, so it takes the guest's root and the guest's uid to do it; a terminal was
 * opened in the container.
 */
export function stdioOwnerSteps(process: Process, config: Spec, noStdin: boolean): Step[] {
  const uid = process.user?.uid ?? 0;
  const about = { field: "process.user.uid", subject: String(uid), task: "handing stdio over to the user" };
  if (process.terminal === true) return uid === 0 ? [] : [{ op: "chownDescriptor", fd: 0, uid, ...about }];
  const guestUid = guestId(config.linux?.uidMappings ?? [], uid, "process.user.uid");
  if (guestUid === 0) return [];
  return (noStdin ? [1, 2] : [0, 1, 2]).map((fd) => ({
    op: "chownDescriptor",
    fd,
    uid: guestUid,
    supervised: true,
    ...about,
  }));
}

/** Without mappings an id is the same inside and outside. */
export function guestId(mappings: readonly IdMapping[], id: number, field: string): number {
  if (mappings.length === 0) return id;
  const mapping = mappings.find((one) => id >= one.containerID && id - one.containerID < one.size);
  if (mapping === undefined) throw invalid(field, `${id} is not mapped into the user namespace (linux.uidMappings)`);
  return mapping.hostID + (id - mapping.containerID);
}

/** The contents of /proc/PID/uid_map and gid_map (user_namespaces(7)). */
export function idMapText(mappings: readonly IdMapping[]): string {
  return mappings.map((one) => `${one.containerID} ${one.hostID} ${one.size}\n`).join("");
}
