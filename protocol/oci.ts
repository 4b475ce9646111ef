/**
 * The OCI runtime specification's config.json and State, version 1.2 (plus what 1.3 added), as TypeScript types.
 * Host and guest both read containers' configurations through them; runtime/oci validates what they claim.
 * https://github.com/opencontainers/runtime-spec: config.md, config-linux.md, runtime.md.
 */

/** The newest version of the specification that we carry out. */
export const OCI_VERSION = "1.2.0";

/** A 64-bit integer: a number where JavaScript holds it exactly, else a bigint (see protocol/json.ts). */
export type Int64 = number | bigint;

/** config.json. */
export interface Spec {
  ociVersion: string;
  process?: Process | undefined;
  root?: Root | undefined;
  hostname?: string | undefined;
  domainname?: string | undefined;
  mounts?: Mount[] | undefined;
  hooks?: Hooks | undefined;
  annotations?: Record<string, string> | undefined;
  linux?: Linux | undefined;
  /** Sections of other platforms; a configuration with one of them is refused. */
  solaris?: unknown;
  windows?: unknown;
  vm?: unknown;
  zos?: unknown;
  freebsd?: unknown;
}

export interface Root {
  /** Absolute, or relative to the bundle. */
  path: string;
  readonly?: boolean | undefined;
}

export interface Process {
  terminal?: boolean | undefined;
  consoleSize?: ConsoleSize | undefined;
  /** Absent means root, as runc reads it. */
  user?: User | undefined;
  args?: string[] | undefined;
  /** Windows only. */
  commandLine?: string | undefined;
  env?: string[] | undefined;
  cwd: string;
  capabilities?: Capabilities | undefined;
  rlimits?: Rlimit[] | undefined;
  noNewPrivileges?: boolean | undefined;
  apparmorProfile?: string | undefined;
  oomScoreAdj?: number | undefined;
  scheduler?: Scheduler | undefined;
  selinuxLabel?: string | undefined;
  ioPriority?: IoPriority | undefined;
  execCPUAffinity?: CpuAffinity | undefined;
}

/** In characters. */
export interface ConsoleSize {
  height: number;
  width: number;
}

export interface User {
  uid?: number | undefined;
  gid?: number | undefined;
  umask?: number | undefined;
  additionalGids?: number[] | undefined;
  /** Windows only. */
  username?: string | undefined;
}

/** Names as in capabilities(7), `CAP_CHOWN`. */
export type Capabilities = { [set in CapabilitySet]?: string[] | undefined };

export const CAPABILITY_SETS = ["bounding", "effective", "inheritable", "permitted", "ambient"] as const;

export type CapabilitySet = (typeof CAPABILITY_SETS)[number];

export interface Rlimit {
  /** As in getrlimit(2), `RLIMIT_NOFILE`. */
  type: string;
  /** 2^64-1 is RLIM_INFINITY, here and in `soft`. */
  hard: Int64;
  soft: Int64;
}

export type SchedulerPolicy =
  | "SCHED_OTHER"
  | "SCHED_FIFO"
  | "SCHED_RR"
  | "SCHED_BATCH"
  | "SCHED_ISO"
  | "SCHED_IDLE"
  | "SCHED_DEADLINE";

export type SchedulerFlag =
  | "SCHED_FLAG_RESET_ON_FORK"
  | "SCHED_FLAG_RECLAIM"
  | "SCHED_FLAG_DL_OVERRUN"
  | "SCHED_FLAG_KEEP_POLICY"
  | "SCHED_FLAG_KEEP_PARAMS"
  | "SCHED_FLAG_UTIL_CLAMP_MIN"
  | "SCHED_FLAG_UTIL_CLAMP_MAX";

/** sched_setattr(2); times in nanoseconds. */
export interface Scheduler {
  policy: SchedulerPolicy;
  nice?: number | undefined;
  priority?: number | undefined;
  flags?: SchedulerFlag[] | undefined;
  runtime?: Int64 | undefined;
  deadline?: Int64 | undefined;
  period?: Int64 | undefined;
}

export type IoPriorityClass = "IOPRIO_CLASS_RT" | "IOPRIO_CLASS_BE" | "IOPRIO_CLASS_IDLE";

/** ioprio_set(2). */
export interface IoPriority {
  class: IoPriorityClass;
  /** 0 (highest) to 7; absent means 0. */
  priority?: number | undefined;
}

/** CPU lists like `0-3,7`; only for processes that exec adds. */
export interface CpuAffinity {
  initial?: string | undefined;
  final?: string | undefined;
}

export interface Mount {
  destination: string;
  type?: string | undefined;
  source?: string | undefined;
  options?: string[] | undefined;
  /** With the options `idmap` or `ridmap`: an id-mapped mount (mount_setattr(2)). */
  uidMappings?: IdMapping[] | undefined;
  gidMappings?: IdMapping[] | undefined;
}

export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

export const HOOK_NAMES = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;

export type HookName = (typeof HOOK_NAMES)[number];

export type Hooks = { [name in HookName]?: Hook[] | undefined };

export interface Hook {
  path: string;
  args?: string[] | undefined;
  env?: string[] | undefined;
  /** Seconds. */
  timeout?: number | undefined;
}

export interface Linux {
  uidMappings?: IdMapping[] | undefined;
  gidMappings?: IdMapping[] | undefined;
  sysctl?: Record<string, string> | undefined;
  resources?: Resources | undefined;
  cgroupsPath?: string | undefined;
  namespaces?: Namespace[] | undefined;
  devices?: Device[] | undefined;
  /** Since 1.3: keyed by the device's name on the host. */
  netDevices?: Record<string, NetDevice> | undefined;
  seccomp?: Seccomp | undefined;
  rootfsPropagation?: RootfsPropagation | undefined;
  maskedPaths?: string[] | undefined;
  readonlyPaths?: string[] | undefined;
  mountLabel?: string | undefined;
  intelRdt?: IntelRdt | undefined;
  memoryPolicy?: MemoryPolicy | undefined;
  personality?: Personality | undefined;
  timeOffsets?: TimeOffsets | undefined;
}

export type RootfsPropagation =
  | "private"
  | "shared"
  | "slave"
  | "unbindable"
  | "rprivate"
  | "rshared"
  | "rslave"
  | "runbindable";

export type NamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup" | "time";

export interface Namespace {
  type: NamespaceType;
  path?: string | undefined;
}

export interface TimeOffsets {
  monotonic?: TimeOffset | undefined;
  boottime?: TimeOffset | undefined;
}

export interface TimeOffset {
  secs?: Int64 | undefined;
  nanosecs?: number | undefined;
}

/** `c` and `u` are character devices, `b` a block device, `p` a FIFO. */
export type DeviceType = "c" | "u" | "b" | "p";

export interface Device {
  path: string;
  type: DeviceType;
  /** Required unless the type is `p`. */
  major?: number | undefined;
  minor?: number | undefined;
  /** Permission bits; podman leaves the file type's bits in, which mean nothing here. */
  fileMode?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
}

export interface NetDevice {
  name?: string | undefined;
}

export interface Resources {
  devices?: DeviceRule[] | undefined;
  memory?: MemoryResources | undefined;
  cpu?: CpuResources | undefined;
  pids?: PidsResources | undefined;
  blockIO?: BlockIoResources | undefined;
  hugepageLimits?: HugepageLimit[] | undefined;
  network?: NetworkResources | undefined;
  rdma?: Record<string, RdmaLimit> | undefined;
  /** cgroup v2 file names and what to write into them. */
  unified?: Record<string, string> | undefined;
}

/** One rule of the device allow-list; later rules win. */
export interface DeviceRule {
  allow: boolean;
  /** `a`: both kinds, the default. */
  type?: "a" | "c" | "b" | undefined;
  /** Absent or -1: every number. */
  major?: number | undefined;
  minor?: number | undefined;
  /** Some of the letters r, w, m; absent: all. */
  access?: string | undefined;
}

/** Bytes; -1 means unlimited. */
export interface MemoryResources {
  limit?: Int64 | undefined;
  reservation?: Int64 | undefined;
  /** Memory and swap together. */
  swap?: Int64 | undefined;
  kernel?: Int64 | undefined;
  kernelTCP?: Int64 | undefined;
  swappiness?: Int64 | undefined;
  disableOOMKiller?: boolean | undefined;
  useHierarchy?: boolean | undefined;
  checkBeforeUpdate?: boolean | undefined;
}

/** Times in microseconds. */
export interface CpuResources {
  /** cgroup v1 scale, 2 to 262144; 0 leaves the kernel's default. */
  shares?: Int64 | undefined;
  /** Negative: unlimited. */
  quota?: Int64 | undefined;
  burst?: Int64 | undefined;
  period?: Int64 | undefined;
  realtimeRuntime?: Int64 | undefined;
  realtimePeriod?: Int64 | undefined;
  cpus?: string | undefined;
  mems?: string | undefined;
  /** 1: SCHED_IDLE for the whole cgroup. */
  idle?: Int64 | undefined;
}

export interface PidsResources {
  /** 0 or less: unlimited (config-linux.md 1.2: a negative number; runc reads 0 so, too). */
  limit?: Int64 | undefined;
}

export interface BlockIoResources {
  /** cgroup v1 scale, 10 to 1000; 0 leaves the default. */
  weight?: number | undefined;
  leafWeight?: number | undefined;
  weightDevice?: WeightDevice[] | undefined;
  throttleReadBpsDevice?: ThrottleDevice[] | undefined;
  throttleWriteBpsDevice?: ThrottleDevice[] | undefined;
  throttleReadIOPSDevice?: ThrottleDevice[] | undefined;
  throttleWriteIOPSDevice?: ThrottleDevice[] | undefined;
}

export interface WeightDevice {
  major: number;
  minor: number;
  weight?: number | undefined;
  leafWeight?: number | undefined;
}

export interface ThrottleDevice {
  major: number;
  minor: number;
  /** Bytes or operations a second. */
  rate?: Int64 | undefined;
}

export interface HugepageLimit {
  /** As the kernel's file names have it, `2MB`. */
  pageSize: string;
  /** Bytes. */
  limit: Int64;
}

export interface NetworkResources {
  classID?: number | undefined;
  priorities?: { name: string; priority: number }[] | undefined;
}

export interface RdmaLimit {
  hcaHandles?: number | undefined;
  hcaObjects?: number | undefined;
}

export type SeccompAction =
  | "SCMP_ACT_KILL"
  | "SCMP_ACT_KILL_PROCESS"
  | "SCMP_ACT_KILL_THREAD"
  | "SCMP_ACT_TRAP"
  | "SCMP_ACT_ERRNO"
  | "SCMP_ACT_TRACE"
  | "SCMP_ACT_ALLOW"
  | "SCMP_ACT_LOG"
  | "SCMP_ACT_NOTIFY";

export type SeccompOperator =
  | "SCMP_CMP_NE"
  | "SCMP_CMP_LT"
  | "SCMP_CMP_LE"
  | "SCMP_CMP_EQ"
  | "SCMP_CMP_GE"
  | "SCMP_CMP_GT"
  | "SCMP_CMP_MASKED_EQ";

export type SeccompFlag =
  | "SECCOMP_FILTER_FLAG_TSYNC"
  | "SECCOMP_FILTER_FLAG_LOG"
  | "SECCOMP_FILTER_FLAG_SPEC_ALLOW"
  | "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";

export interface Seccomp {
  defaultAction: SeccompAction;
  defaultErrnoRet?: number | undefined;
  /** libseccomp's names, `SCMP_ARCH_X86_64`; those of other machines are allowed and have no effect. */
  architectures?: string[] | undefined;
  flags?: SeccompFlag[] | undefined;
  listenerPath?: string | undefined;
  listenerMetadata?: string | undefined;
  syscalls?: SeccompSyscall[] | undefined;
}

export interface SeccompSyscall {
  names: string[];
  action: SeccompAction;
  errnoRet?: number | undefined;
  args?: SeccompArgument[] | undefined;
}

export interface SeccompArgument {
  index: number;
  value: Int64;
  /** The second value of SCMP_CMP_MASKED_EQ: compared with the argument masked by `value`. */
  valueTwo?: Int64 | undefined;
  op: SeccompOperator;
}

export interface IntelRdt {
  closID?: string | undefined;
  schemata?: string[] | undefined;
  l3CacheSchema?: string | undefined;
  memBwSchema?: string | undefined;
  enableMonitoring?: boolean | undefined;
}

/** set_mempolicy(2). */
export interface MemoryPolicy {
  mode: string;
  nodes?: string | undefined;
  flags?: string[] | undefined;
}

export interface Personality {
  domain: "LINUX" | "LINUX32";
  flags?: string[] | undefined;
}

/** runtime.md, State. */
export type ContainerStatus = "creating" | "created" | "running" | "paused" | "stopped";

/** What `state` prints and hooks read on stdin. */
export interface State {
  ociVersion: string;
  id: string;
  status: ContainerStatus;
  /** In the runtime's pid namespace; 0 or absent when stopped. */
  pid?: number | undefined;
  /** Absolute. */
  bundle: string;
  annotations?: Record<string, string> | undefined;
}
