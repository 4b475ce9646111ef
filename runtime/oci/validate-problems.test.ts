import assert from "node:assert/strict";
import { test } from "node:test";
import { changed, refusal } from "../../test/harness/configuration.ts";
import { validateConfig } from "./validate.ts";

function problemsOf(changes: object): string[] {
  const error = refusal(() => validateConfig(changed(changes), "config.json"));
  assert.equal(error.code, "CAISSON_E_CONFIG_INVALID", error.message);
  return error.message.replace("config.json is not valid: ", "").split("; ");
}

/** And a network one, without which nothing is carried out. */
const namespaces = (...types: string[]) => [...types, "network"].map((type) => ({ type }));

/** What is changed in the default configuration, and the one problem it makes. */
const INVALID: [changes: object, problem: string][] = [
  // types and required fields
  [{ process: { user: { uid: "root" } } }, 'process.user.uid: must be an unsigned 32-bit integer, not "root"'],
  [{ process: { user: { uid: -1 } } }, "process.user.uid: must be an unsigned 32-bit integer, not -1"],
  [{ process: { user: { gid: 1.5 } } }, "process.user.gid: must be an unsigned 32-bit integer, not 1.5"],
  [{ process: { terminal: "yes" } }, 'process.terminal: must be true or false, not "yes"'],
  [{ process: { env: [5] } }, "process.env[0]: must be a string, not a number"],
  [{ process: { cwd: undefined } }, "process.cwd: is required"],
  [{ ociVersion: undefined }, "ociVersion: is required"],
  [{ mounts: {} }, "mounts: must be an array, not an object"],
  [{ mounts: [{ type: "tmpfs" }] }, "mounts[0].destination: is required"],
  [{ annotations: { "a.b": 1 } }, 'annotations["a.b"]: must be a string, not 1'],
  [
    { process: { rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: 2n ** 64n }] } },
    "process.rlimits[0].hard: must be an unsigned 64-bit integer, not 18446744073709551616",
  ],
  [
    { process: { ioPriority: { class: "IOPRIO_CLASS_BEST" } } },
    'process.ioPriority.class: must be one of "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", not "IOPRIO_CLASS_BEST"',
  ],
  // ociVersion
  [{ ociVersion: "0.9.0" }, 'ociVersion: must have the major version 1, which this runtime carries out, not "0.9.0"'],
  [{ ociVersion: "1.2" }, 'ociVersion: must be a semantic version like "1.2.0", not "1.2"'],
  [{ ociVersion: "" }, 'ociVersion: must be a semantic version like "1.2.0", not ""'],
  // root and names
  [{ root: undefined }, "root: is required: it names the container's root file system"],
  [{ root: { path: "" } }, "root.path: must not be empty"],
  [{ hostname: "h".repeat(65) }, "hostname: must be at most 64 bytes long, not 65"],
  [
    { hostname: "h", linux: { namespaces: namespaces("mount") } },
    "hostname: needs a uts namespace in linux.namespaces",
  ],
  [
    { hostname: "", domainname: "d", linux: { namespaces: namespaces("mount") } },
    "domainname: needs a uts namespace in linux.namespaces",
  ],
  [{ annotations: { "": "x" } }, "annotations: must not have an empty key"],
  // process
  [{ process: undefined }, "process: is required to create a container"],
  [{ process: { args: [] } }, "process.args: must have at least one entry, the command"],
  [{ process: { args: [""] } }, "process.args[0]: must not be empty: it is the command"],
  [{ process: { args: ["a\0b"] } }, "process.args[0]: must not contain a NUL byte"],
  [{ process: { cwd: "tmp" } }, 'process.cwd: must be an absolute path, not "tmp"'],
  [{ process: { env: ["SECRET"] } }, "process.env[0]: must have the form NAME=value"],
  [{ process: { env: ["=x"] } }, "process.env[0]: must have the form NAME=value"],
  [
    { process: { rlimits: [{ type: "RLIMIT_NOPE", soft: 0, hard: 0 }] } },
    'process.rlimits[0].type: must be a limit of getrlimit(2), not "RLIMIT_NOPE"',
  ],
  [
    { process: { rlimits: [{ type: "RLIMIT_CORE", soft: 2, hard: 1 }] } },
    "process.rlimits[0].soft: must be at most the hard limit 1, not 2",
  ],
  [
    {
      process: {
        rlimits: [
          { type: "RLIMIT_CORE", soft: 0, hard: 0 },
          { type: "RLIMIT_CORE", soft: 1, hard: 1 },
        ],
      },
    },
    "process.rlimits[1].type: names RLIMIT_CORE a second time",
  ],
  [{ process: { oomScoreAdj: 1001 } }, "process.oomScoreAdj: must be from -1000 to 1000, not 1001"],
  [
    { process: { consoleSize: { height: 65536, width: 1 } } },
    "process.consoleSize.height: must be an unsigned 16-bit integer, not 65536",
  ],
  [
    { process: { ioPriority: { class: "IOPRIO_CLASS_BE", priority: 8 } } },
    "process.ioPriority.priority: must be from 0 to 7, not 8",
  ],
  [
    { process: { scheduler: { policy: "SCHED_OTHER", nice: 20 } } },
    "process.scheduler.nice: must be from -20 to 19, not 20",
  ],
  [
    { process: { scheduler: { policy: "SCHED_FIFO" } } },
    "process.scheduler.priority: must be from 1 to 99 with SCHED_FIFO, not 0",
  ],
  [
    { process: { scheduler: { policy: "SCHED_BATCH", priority: 1 } } },
    "process.scheduler.priority: must be 0 with SCHED_BATCH, because only SCHED_FIFO and SCHED_RR have one",
  ],
  [
    { process: { scheduler: { policy: "SCHED_OTHER", runtime: 5000 } } },
    "process.scheduler.runtime: has a meaning only with SCHED_DEADLINE, not SCHED_OTHER",
  ],
  [
    { process: { scheduler: { policy: "SCHED_DEADLINE", runtime: 5000, deadline: 4000 } } },
    "process.scheduler: sched_setattr: `SCHED_DEADLINE` runtime 5000 must be <= the deadline 4000",
  ],
  [
    { process: { scheduler: { policy: "SCHED_DEADLINE", deadline: 4000 } } },
    "process.scheduler: sched_setattr: `SCHED_DEADLINE` requires `runtime`",
  ],
  [
    { process: { scheduler: { policy: "SCHED_DEADLINE", runtime: 2000, deadline: 4000, period: 3000 } } },
    "process.scheduler: sched_setattr: `SCHED_DEADLINE` deadline 4000 must be <= the period 3000",
  ],
  [
    { process: { scheduler: { policy: "SCHED_DEADLINE", runtime: 1023, deadline: 4000 } } },
    "process.scheduler: sched_setattr: `SCHED_DEADLINE` runtime 1023 must be between 1024 and 9223372036854775807 nanoseconds",
  ],
  [
    { process: { execCPUAffinity: { initial: "3-1" } } },
    'process.execCPUAffinity.initial: must be a list of CPUs like "0-3,7", not "3-1"',
  ],
  // mounts
  [{ mounts: [{ destination: "", type: "tmpfs" }] }, "mounts[0].destination: must not be empty"],
  [{ mounts: [{ destination: "/a" }] }, "mounts[0].type: is required unless the mount is a bind mount"],
  [{ mounts: [{ destination: "/a", options: ["rbind"] }] }, "mounts[0].source: is required for a bind mount"],
  [
    { mounts: [{ destination: "/a", source: "/b", options: ["bind", "size=1m"] }] },
    'mounts[0].options: has "size=1m", which a bind mount cannot have',
  ],
  [
    { mounts: [{ destination: "/m", type: "9p", source: "caisson-share" }] },
    'mounts[0].type: is "9p": what of the host a container sees is shared by bind mounts, and the VM has no other',
  ],
  [
    { mounts: [{ destination: "/m", type: "caisson-modules", source: "/run/caisson/share" }] },
    'mounts[0].type: is "caisson-modules", which is a name of the runtime\'s own',
  ],
  // namespaces and mappings
  [
    { linux: { namespaces: [...namespaces("mount", "uts", "pid", "pid")] } },
    "linux.namespaces[3].type: names the pid namespace a second time",
  ],
  [
    { linux: { uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] } },
    "linux.uidMappings: needs a user namespace in linux.namespaces",
  ],
  [
    {
      linux: {
        namespaces: namespaces("mount", "uts", "user"),
        uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        gidMappings: [],
      },
    },
    "linux.gidMappings: needs at least one mapping for the new user namespace",
  ],
  [
    {
      linux: {
        namespaces: namespaces("mount", "uts", "user"),
        uidMappings: [
          { containerID: 0, hostID: 1000, size: 10 },
          { containerID: 9, hostID: 5000, size: 10 },
        ],
        gidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
      },
    },
    "linux.uidMappings[1]: overlaps linux.uidMappings[0]",
  ],
  [
    { linux: { timeOffsets: { monotonic: { secs: 1 } } } },
    "linux.timeOffsets: needs a time namespace in linux.namespaces",
  ],
  [
    {
      linux: { namespaces: namespaces("mount", "uts", "time"), timeOffsets: { boottime: { nanosecs: 1_000_000_000 } } },
    },
    "linux.timeOffsets.boottime.nanosecs: must be at most 999999999, not 1000000000",
  ],
  // sysctl
  [
    { linux: { sysctl: { "kernel.hostname": "x" } } },
    'linux.sysctl["kernel.hostname"]: is set by the field "hostname" of the configuration',
  ],
  [
    { domainname: "a", linux: { namespaces: namespaces("mount", "uts"), sysctl: { "kernel.domainname": "b" } } },
    'linux.sysctl["kernel.domainname"]: is not the field "domainname" of the configuration, which says "a"',
  ],
  [
    { linux: { sysctl: { "vm.swappiness": "1" } } },
    'linux.sysctl["vm.swappiness"]: belongs to no namespace, so it would change the kernel of the whole sandbox',
  ],
  [
    { linux: { sysctl: { "user.max_user_namespaces": "1" } } },
    'linux.sysctl["user.max_user_namespaces"]: needs a user namespace in linux.namespaces',
  ],
  [{ linux: { sysctl: { "net..x": "1" } } }, 'linux.sysctl["net..x"]: is not the name of a kernel parameter'],
  [
    { linux: { sysctl: { "../../etc/passwd": "1" } } },
    'linux.sysctl["../../etc/passwd"]: is not the name of a kernel parameter',
  ],
  // devices and resources
  [
    { linux: { devices: [{ path: "dev/x", type: "c", major: 1, minor: 3 }] } },
    'linux.devices[0].path: must be an absolute path, not "dev/x"',
  ],
  [
    { linux: { devices: [{ path: "/dev/x", type: "c", minor: 3 }] } },
    'linux.devices[0].major: is required for type "c"',
  ],
  [
    { linux: { devices: [{ path: "/dev/x", type: "b", major: 4096, minor: 3 }] } },
    "linux.devices[0].major: must be from 0 to 4095, not 4096",
  ],
  [
    { linux: { resources: { devices: [{ allow: true, minor: -2 }] } } },
    "linux.resources.devices[0].minor: must be from -1 to 1048575, not -2",
  ],
  [
    { linux: { resources: { memory: { limit: -2 } } } },
    "linux.resources.memory.limit: must be a number of bytes, or -1 for no limit, not -2",
  ],
  [
    { linux: { resources: { memory: { limit: 2000, swap: 1000 } } } },
    "linux.resources.memory.swap: must be at least linux.resources.memory.limit (2000), not 1000: it limits both together",
  ],
  [
    { linux: { resources: { memory: { swap: 1000 } } } },
    "linux.resources.memory.swap: needs linux.resources.memory.limit: it limits both together",
  ],
  [
    { linux: { resources: { cpu: { shares: 1 } } } },
    "linux.resources.cpu.shares: must be from 2 to 262144, or 0 for the default, not 1",
  ],
  [
    { linux: { resources: { cpu: { period: 999 } } } },
    "linux.resources.cpu.period: must be from 1000 to 1000000, or 0 for the default, not 999",
  ],
  [
    { linux: { resources: { cpu: { cpus: "0-" } } } },
    'linux.resources.cpu.cpus: must be a list like "0-3,7", not "0-"',
  ],
  [{ linux: { resources: { cpu: { idle: 2 } } } }, "linux.resources.cpu.idle: must be 0 or 1, not 2"],
  [
    { linux: { resources: { blockIO: { weight: 5 } } } },
    "linux.resources.blockIO.weight: must be from 10 to 1000, or 0 for the default, not 5",
  ],
  [
    { linux: { resources: { blockIO: { weightDevice: [{ major: 8, minor: 0 }] } } } },
    "linux.resources.blockIO.weightDevice[0]: must have a weight or a leafWeight",
  ],
  [
    { linux: { resources: { unified: { "../memory.max": "1" } } } },
    'linux.resources.unified["../memory.max"]: must be the name of a controller\'s file, like "memory.high"',
  ],
  [
    { linux: { resources: { unified: { "cgroup.procs": "1" } } } },
    'linux.resources.unified["cgroup.procs"]: must be the name of a controller\'s file, like "memory.high"',
  ],
  [
    { linux: { resources: { devices: [{ allow: true, access: "x" }] } } },
    'linux.resources.devices[0].access: must have some of the letters r, w and m, not "x"',
  ],
  [
    { linux: { resources: { hugepageLimits: [{ pageSize: "2M", limit: 1 }] } } },
    'linux.resources.hugepageLimits[0].pageSize: must be a size like "2MB", not "2M"',
  ],
  // paths and personality
  [{ linux: { maskedPaths: ["proc/kcore"] } }, 'linux.maskedPaths[0]: must be an absolute path, not "proc/kcore"'],
  [
    { linux: { personality: { domain: "LINUX", flags: ["X"] } } },
    "linux.personality.flags: must be empty: the specification defines no flags yet",
  ],
];

for (const [changes, problem] of INVALID) {
  test(`validateConfig refuses: ${problem}`, () => assert.deepEqual(problemsOf(changes), [problem]));
}
