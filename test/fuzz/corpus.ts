/** Configurations to start from: the default one, and one in which every property has a value that is carried out. */
import { CAPABILITY_SETS, HOOK_NAMES, type Spec } from "../../protocol/oci.ts";
import { defaultSpec } from "../../runtime/oci/default-spec.ts";

export function fullSpec(): Spec {
  const spec = defaultSpec();
  const mapping = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const hooks = [{ path: "/bin/hook", args: ["hook", "x"], env: ["A=b"], timeout: 5 }];
  const throttle = [{ major: 8, minor: 0, rate: 1_000_000 }];
  return {
    ...spec,
    domainname: "example.org",
    annotations: { "org.example.key": "value" },
    hooks: Object.fromEntries(HOOK_NAMES.map((name) => [name, structuredClone(hooks)])),
    process: {
      ...spec.process,
      cwd: "/work",
      args: ["sh", "-c", "true"],
      consoleSize: { height: 25, width: 80 },
      user: { uid: 1000, gid: 1000, umask: 0o22, additionalGids: [5, 6] },
      capabilities: Object.fromEntries(CAPABILITY_SETS.map((name) => [name, ["CAP_CHOWN", "CAP_KILL"]])),
      rlimits: [
        { type: "RLIMIT_CORE", soft: 0, hard: 2n ** 64n - 1n },
        { type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 },
      ],
      oomScoreAdj: 100,
      scheduler: { policy: "SCHED_BATCH", nice: 5, flags: ["SCHED_FLAG_RESET_ON_FORK"] },
      ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
      execCPUAffinity: { initial: "0", final: "0-1" },
    },
    mounts: [
      ...(spec.mounts ?? []),
      { destination: "/data", type: "bind", source: "data", options: ["rbind", "ro", "rnosuid", "rslave", "noatime"] },
      { destination: "/etc/hosts", source: "/srv/hosts", options: ["bind", "rw"] },
      { destination: "/scratch", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=1m", "nosuid"] },
      { destination: "/scratch", type: "tmpfs", source: "tmpfs", options: ["remount", "ro"] },
    ],
    linux: {
      ...spec.linux,
      namespaces: [...(spec.linux?.namespaces ?? []), { type: "user" }, { type: "time" }],
      uidMappings: mapping,
      gidMappings: structuredClone(mapping),
      timeOffsets: { monotonic: { secs: 1, nanosecs: 2 }, boottime: { secs: -3 } },
      sysctl: { "kernel.shmmax": "1000000", "net.ipv4.ip_forward": "1", "fs.mqueue.msg_max": "20" },
      cgroupsPath: "/a/b",
      devices: [
        { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 },
        { path: "/run/pipe", type: "p" },
      ],
      rootfsPropagation: "rslave",
      personality: { domain: "LINUX" },
      seccomp: {
        defaultAction: "SCMP_ACT_ERRNO",
        defaultErrnoRet: 1,
        architectures: ["SCMP_ARCH_X86_64"],
        flags: ["SECCOMP_FILTER_FLAG_LOG"],
        syscalls: [
          { names: ["read", "write"], action: "SCMP_ACT_ALLOW" },
          {
            names: ["clone"],
            action: "SCMP_ACT_ALLOW",
            args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
          },
        ],
      },
      resources: {
        devices: [
          { allow: false, access: "rwm" },
          { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
        ],
        memory: {
          limit: 67108864,
          reservation: 33554432,
          swap: 100663296,
          checkBeforeUpdate: true,
          useHierarchy: true,
        },
        cpu: { shares: 512, quota: 50000, burst: 1000, period: 100000, cpus: "0", mems: "0", idle: 0 },
        pids: { limit: 100 },
        blockIO: {
          weight: 500,
          weightDevice: [{ major: 8, minor: 0, weight: 100 }],
          throttleReadBpsDevice: throttle,
          throttleWriteIOPSDevice: structuredClone(throttle),
        },
        hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }],
        unified: { "memory.high": "60000000", "cpu.weight": "50" },
      },
    },
  };
}

/** With a user namespace some mistakes are told before others, so both kinds are mutated. */
export function corpus(): Spec[] {
  const full = fullSpec();
  const { uidMappings: _uids, gidMappings: _gids, ...linux } = full.linux ?? {};
  const plain = { ...full, linux: { ...linux, namespaces: linux.namespaces?.filter(({ type }) => type !== "user") } };
  return [defaultSpec(), full, plain];
}
