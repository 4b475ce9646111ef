/** A pod as CRI engines make it: one container holds the namespaces, the other joins them. */
import { join } from "node:path";
import { GUEST_SHARED_MEMORY, guestNamespacePath } from "../../../protocol/guest-contract.ts";
import type { Mount, Process, Spec } from "../../../protocol/oci.ts";
import type { Agent } from "../../guest/agent/client.ts";
import { GuestClock } from "../../guest/clock.ts";
import { updateNetwork } from "../../guest/network.ts";
import { defaultSpec } from "../../oci/default-spec.ts";
import type { SeccompFilter } from "../../oci/seccomp.ts";
import { giveBack, setAsideMount } from "../../oci/set-aside.ts";
import type { Share } from "../../storage/share.ts";
import { createWarm, end } from "./container.ts";
import { WARM_LOOPBACK } from "./network.ts";

const HOLDER = "warm-pod";
const MEMBER = "warm-member";
const SHARED_MEMORY_BYTES = 64 * 1024 * 1024;
/** What an engine gives each container a file for. */
const FILES = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/** ld [nr]; jeq #acct; ret #ERRNO|EPERM; ret #ALLOW (linux/filter.h, linux/seccomp.h): a filter is attached like any other. */
const FILTER: SeccompFilter = {
  program: Buffer.from("2000000000000000" + "15000001a3000000" + "0600000001000500" + "060000000000ff7f", "hex"),
  flags: 0,
};

/**
 * Both containers' lives, as far as they differ from that of a container on its own; the first device is up.
 * @param program ends at once. @param rootfs of the host; it has /etc/passwd.
 */
export async function livePod(agent: Agent, share: Share, rootfs: string, program: Process): Promise<void> {
  const create = (id: string, given: Spec, seccomp?: SeccompFilter) => {
    const spec = giveBack(share.addContainer(id, given, rootfs, rootfs));
    const clock = new GuestClock();
    return createWarm(agent, id, { spec, seccomp, sharedMemoryBytes: SHARED_MEMORY_BYTES, clock });
  };
  const file = join(rootfs, "etc", "passwd");
  try {
    const holder = await create(HOLDER, holderSpec(program, file, rootfs));
    const member = await create(MEMBER, memberSpec(program, file, rootfs), FILTER);
    await holder.start();
    await updateNetwork(agent, { pid: 0, requests: WARM_LOOPBACK });
    await member.start();
    for (const each of [member, holder]) await end(each);
  } finally {
    for (const id of [MEMBER, HOLDER]) share.removeContainer(id);
  }
}

function holderSpec(program: Process, file: string, rootfs: string): Spec {
  const { mounts = [], linux, ...rest } = defaultSpec();
  const kept = mounts.filter(({ type }) => type !== "cgroup");
  return {
    ...rest,
    process: { ...program, oomScoreAdj: 0 },
    root: { path: rootfs, readonly: true },
    mounts: [...kept, sharedMemory("ro"), ...FILES.slice(-1).map((path) => bound(path, file, "ro"))],
    linux: {
      ...linux,
      resources: { ...linux?.resources, cpu: { shares: 2 } },
      cgroupsPath: `/k8s.io/${HOLDER}`,
      namespaces: [{ type: "pid" }, { type: "ipc" }, { type: "uts" }, { type: "mount" }],
    },
  };
}

function memberSpec(program: Process, file: string, rootfs: string): Spec {
  const { mounts = [], linux, hostname: _, ...rest } = defaultSpec();
  const kept = mounts.filter(({ destination }) => destination !== "/dev/shm");
  const ofHolder = (["ipc", "uts", "network"] as const).map((type) => ({
    type,
    path: guestNamespacePath(HOLDER, type),
  }));
  return {
    ...rest,
    process: { ...program, user: { uid: 0, gid: 0, additionalGids: [0] } },
    root: { path: rootfs, readonly: false },
    mounts: [...kept, ...FILES.map((path) => bound(path, file, "rw")), sharedMemory("rw")],
    linux: {
      ...linux,
      cgroupsPath: `/k8s.io/${MEMBER}`,
      namespaces: [{ type: "pid" }, ...ofHolder, { type: "mount" }],
    },
  };
}

function bound(destination: string, source: string, access: "ro" | "rw"): Mount {
  return { destination, type: "bind", source, options: ["rbind", "rprivate", access] };
}

function sharedMemory(access: "ro" | "rw"): Mount {
  const mount = { destination: "/dev/shm", options: ["rprivate", access] };
  return setAsideMount(mount, `${GUEST_SHARED_MEMORY}/${HOLDER}`);
}
