/** The steps for a container's mounts (config.md, "Mounts"; config-linux.md). */
import { DISK_MOUNT_TYPE } from "../../protocol/guest-contract.ts";
import type { Mount, Spec } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { ATTRIBUTE, type MountOptions, PROPAGATION, parseMountOptions } from "./mount-options.ts";
import { containerPath } from "./paths.ts";
import { invalid, unsupported } from "./unsupported.ts";

/** The superblock serves the whole namespace or guest, so `ro` must stay with the mount, or it would bind everyone. */
const KERNEL_FILESYSTEMS = ["proc", "sysfs", "mqueue", "cgroup2", "securityfs", "debugfs", "tracefs", "bpf"];
/** fsconfig(2) takes 255 characters. */
const MAX_OPTION = 255;
/** What programs replace below /proc without turning its protections off (runc's list, CVE-2019-16884 and later). */
const PROC_EXCEPTIONS = [
  "/proc/cpuinfo",
  "/proc/diskstats",
  "/proc/meminfo",
  "/proc/stat",
  "/proc/swaps",
  "/proc/uptime",
  "/proc/loadavg",
  "/proc/slabinfo",
  "/proc/sys/kernel/ns_last_pid",
  "/proc/sys/crypto/fips_enabled",
];

/** The image's author must not say where these are, as masked and read-only paths lie below them (CVE-2019-19921). */
const ORDINARY_PLACE = ["proc", "sysfs"];

export interface MountSteps {
  /** Before the devices are made. */
  mounting: Step[];
  /** When everything is in place: what must stay writable until then. */
  closing: Step[];
}

/**
 * `userNamespace`: sources are opened by the guest's root, which may be the only one to reach them, and must not pass
 * on what is mounted in the container.
 */
export function mountSteps(config: Spec, userNamespace: boolean): MountSteps {
  const steps: MountSteps = { mounting: [], closing: [] };
  config.mounts?.forEach((mount, index) => {
    // The bind mount of a block device on the host, which is one of `linux.devices` here.
    if (mount.type === DISK_MOUNT_TYPE) return;
    const field = `mounts[${index}]`;
    const target = containerPath(mount.destination);
    const options = parseMountOptions(mount, field);
    refuseProc(target, mount, options, field);
    const about = { field, subject: mount.destination };
    if (options.remount) steps.mounting.push(...remountSteps(target, options, about));
    else if (options.bind && isOwn(mount, config)) {
      const path = mount.source?.slice(config.root?.path.length) ?? "";
      const task = `opening the source ${path}`;
      const recursive = options.recursiveBind ? 1 : 0;
      steps.mounting.push({ op: "openInRoot", path, recursive, ...about, task }, ...attributeSteps(options, {}, about));
      steps.mounting.push({ op: "attachTree", target, ...about, task: "mounting" });
    } else if (options.bind) steps.mounting.push(...bindSteps(mount, target, options, userNamespace, about));
    else if (userNamespace && isHierarchyOfOthers(mount, config)) {
      const source = { ...mount, source: CGROUPS };
      steps.mounting.push(...bindSteps(source, target, { ...options, recursiveBind: true }, true, about));
    } else filesystemSteps(mount, target, options, about, steps);
  });
  if (!userNamespace) steps.mounting.push(...moduleSteps(config));
  return steps;
}

/** Where the guest has its kernel's modules, and programs look for them. */
const MODULES = "/usr/lib/modules";
const MODULES_PLACE = "/lib/modules";

/** Who may load modules finds those of the kernel that runs; a root that has no room for them goes without. */
function moduleSteps({ mounts, process }: Spec): Step[] {
  if (!process?.capabilities?.bounding?.includes("CAP_SYS_MODULE")) return [];
  const covered = mounts?.some(({ destination }) => [MODULES, MODULES_PLACE].includes(containerPath(destination)));
  if (covered === true) return [];
  const about = { field: "process.capabilities.bounding", subject: "CAP_SYS_MODULE" };
  return [
    { op: "openTree", source: MODULES, recursive: 0, ...about, task: "opening the guest's modules" },
    { op: "attachTreeIfPossible", target: MODULES_PLACE, ...about, task: "showing the guest's modules" },
  ];
}

/** In the container's own root, where an earlier mount may have provided it. */
function isOwn({ source }: Mount, { root }: Spec): boolean {
  return root !== undefined && (source?.startsWith(`${root.path}/`) ?? false);
}

/** Where the guest has cgroup v2. */
const CGROUPS = "/sys/fs/cgroup";

/** The kernel mounts cgroups only for who has their namespace, which one with a user namespace alone has not. */
function isHierarchyOfOthers({ type }: Mount, { linux }: Spec): boolean {
  return (
    (type === "cgroup" || type === "cgroup2") && !linux?.namespaces?.some((namespace) => namespace.type === "cgroup")
  );
}

interface About {
  field: string;
  subject: string;
}

function bindSteps(mount: Mount, target: string, options: MountOptions, userNamespace: boolean, about: About): Step[] {
  if (mount.source === undefined) throw invalid(`${about.field}.source`, "a bind mount needs a source.");
  const supervised = userNamespace ? ({ supervised: true } as const) : {};
  const steps: Step[] = [];
  const recursive = options.recursiveBind ? 1 : 0;
  steps.push({
    op: "openTree",
    source: mount.source,
    recursive,
    ...supervised,
    ...about,
    task: `opening the source ${mount.source}`,
  });
  if (userNamespace) {
    const attributes = { recursive: 1, set: 0n, clear: 0n, propagation: PROPAGATION.slave };
    steps.push({ op: "treeAttributes", ...attributes, ...supervised, ...about, task: "separating the mount" });
  }
  steps.push(...attributeSteps(options, supervised, about));
  steps.push({ op: "attachTree", target, ...about, task: "mounting" });
  return steps;
}

function filesystemSteps(mount: Mount, target: string, options: MountOptions, about: About, steps: MountSteps): void {
  // The guest has cgroup v2 only; engines name the type "cgroup" for both.
  const type = mount.type === "cgroup" ? "cgroup2" : (mount.type ?? "none");
  if (type === "none") throw invalid(`${about.field}.type`, "a mount that is no bind mount needs a type.");
  const late = type === "tmpfs" ? options.set & ATTRIBUTE.readonly : 0n;
  const data = [`source=${mount.source ?? type}`, ...options.data];
  if (options.set & ATTRIBUTE.readonly && late === 0n && !KERNEL_FILESYSTEMS.includes(type)) data.push("ro");
  checkData(data, about);
  const now = { ...options, set: options.set & ~late };
  steps.mounting.push({
    op: "openFilesystem",
    type,
    options: data,
    attributes: now.set,
    ...about,
    task: `making the ${type} file system`,
  });
  steps.mounting.push(...attributeSteps({ ...now, set: 0n, clear: 0n }, {}, about));
  if (type === "tmpfs") {
    if (!options.data.some((option) => option.startsWith("mode="))) {
      steps.mounting.push({ op: "inheritMode", path: target, ...about, task: "taking over the folder's mode" });
    }
    if (options.copyUp)
      steps.mounting.push({ op: "copyUp", path: target, ...about, task: "copying the folder's content" });
  } else if (options.copyUp) throw unsupported(`${about.field}.options`, `"tmpcopyup" is for tmpfs mounts.`);
  if (ORDINARY_PLACE.includes(type)) {
    steps.mounting.push({
      op: "requireFolder",
      path: target,
      ...about,
      task: `mounting ${type} on an ordinary folder`,
    });
  }
  steps.mounting.push({ op: "attachTree", target, ...about, task: "mounting" });
  if (late !== 0n) steps.closing.push(readonlyStep(target, about));
}

/** With `bind`, of the mount only; else of its file system, too (mount(2), MS_REMOUNT). */
function remountSteps(target: string, options: MountOptions, about: About): Step[] {
  const steps: Step[] = [];
  if (!options.bind) {
    const data = [...options.data];
    if (options.set & ATTRIBUTE.readonly) data.push("ro");
    if (options.clear & ATTRIBUTE.readonly) data.push("rw");
    checkData(data, about);
    if (data.length > 0) steps.push({ op: "reconfigure", target, options: data, ...about, task: "remounting" });
  }
  const change = (recursive: number, set: bigint, clear: bigint, propagation: bigint): Step => ({
    op: "targetAttributes",
    target,
    recursive,
    set,
    clear,
    propagation,
    ...about,
    task: "remounting",
  });
  for (const [recursive, set, clear, propagation] of attributeChanges(options)) {
    steps.push(change(recursive, set, clear, propagation));
  }
  return steps;
}

/** At the end of all mounts, as their mount points may lie in it. */
export function readonlyStep(target: string, about: About): Step {
  const attributes = { recursive: 0, set: ATTRIBUTE.readonly, clear: 0n, propagation: 0n };
  return { op: "targetAttributes", target, ...attributes, ...about, task: "making the mount read-only" };
}

function attributeSteps(options: MountOptions, supervised: { supervised?: true }, about: About): Step[] {
  const task = "setting the mount's options";
  return attributeChanges(options).map(([recursive, set, clear, propagation]) => {
    return { op: "treeAttributes", recursive, set, clear, propagation, ...supervised, ...about, task };
  });
}

/** The system calls, an entry each: recursive, set, clear, propagation. Recursive entries come first, so the mount's own win. */
function attributeChanges(options: MountOptions): [number, bigint, bigint, bigint][] {
  const changes: [number, bigint, bigint, bigint][] = [];
  if (options.recursiveSet !== 0n || options.recursiveClear !== 0n) {
    changes.push([1, options.recursiveSet, options.recursiveClear, 0n]);
  }
  if (options.set !== 0n || options.clear !== 0n) changes.push([0, options.set, options.clear, 0n]);
  for (const { value, recursive } of options.propagation) changes.push([recursive ? 1 : 0, 0n, 0n, value]);
  return changes;
}

function checkData(data: readonly string[], about: About): void {
  for (const option of data) {
    const value = option.includes("=") ? option.slice(option.indexOf("=") + 1) : option;
    if (Buffer.byteLength(value) <= MAX_OPTION) continue;
    throw unsupported(
      `${about.field}.options`,
      `a file system option may have ${MAX_OPTION} bytes, not ${Buffer.byteLength(value)}.`,
    );
  }
}

/** A mount over parts of /proc would take masked and read-only paths out of force. */
function refuseProc(target: string, mount: Mount, options: MountOptions, field: string): void {
  if (target !== "/proc" && !target.startsWith("/proc/")) return;
  if (target === "/proc" ? mount.type === "proc" || options.bind : PROC_EXCEPTIONS.includes(target)) return;
  throw invalid(`${field}.destination`, `nothing but a proc file system can be mounted on ${target}.`);
}
