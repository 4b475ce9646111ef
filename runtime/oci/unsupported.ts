/**
 * The fields that the specification has and we do not carry out, each with the reason: refused by name, never dropped.
 * A field that comes to be carried out loses its line here.
 */
import { CaissonError } from "../../protocol/errors.ts";
import { isInGuest } from "../../protocol/guest-contract.ts";
import type { Process, Resources, Spec } from "../../protocol/oci.ts";

interface Refusal<Part> {
  field: string;
  /** Follows the field's name in the message. */
  reason: string;
  /** What to do instead of removing the field. */
  remedy?: string;
  /** Whether the configuration asks for it: an empty value and an explicit "off" do not. */
  asked(part: Part): boolean;
}

const NO_LABELS = "the guest's kernel runs without that security module";
const HOST_NAMESPACE =
  "a namespace of the host cannot be joined from inside a VM, and no container that lives in this one has it";
const CGROUP_V1 = "it exists only in cgroup v1, and the guest has cgroup v2";

const CONFIG: readonly Refusal<Spec>[] = [
  ...(["solaris", "windows", "zos", "freebsd"] as const).map((platform) => ({
    field: platform,
    reason: `the configuration is for the platform ${platform}, and containers here run on linux`,
    asked: (config: Spec) => config[platform] !== undefined,
  })),
  {
    field: "vm",
    reason: "the VM is set up by config.toml and io.caisson.* annotations",
    asked: ({ vm }) => vm !== undefined,
  },
  ...(["pid", "ipc", "uts", "mount", "user", "cgroup", "time"] as const).map((type) => joined(type, HOST_NAMESPACE)),
  {
    field: "linux.namespaces",
    reason: "a network namespace is missing, and a VM cannot share the host's own network",
    remedy: 'Add {"type": "network"} to linux.namespaces.',
    asked: ({ linux }) => !linux?.namespaces?.some(({ type }) => type === "network"),
  },
  {
    field: "linux.namespaces",
    reason: "a mount namespace is missing, and a container without one would mount over the guest's own files",
    remedy: 'Add {"type": "mount"} to linux.namespaces.',
    asked: ({ linux }) => !linux?.namespaces?.some(({ type }) => type === "mount"),
  },
  { field: "linux.mountLabel", reason: NO_LABELS, asked: ({ linux }) => some(linux?.mountLabel) },
  {
    field: "linux.netDevices",
    reason: "a device of the host cannot move into a VM",
    asked: ({ linux }) => some(linux?.netDevices),
  },
  {
    field: "linux.seccomp.listenerPath",
    reason: "a notification descriptor of the guest's kernel cannot be sent to the host",
    // Without a rule that notifies it asks for nothing.
    asked: ({ linux }) => linux?.seccomp?.syscalls?.some(({ action }) => action === "SCMP_ACT_NOTIFY") ?? false,
  },
  {
    field: "linux.seccomp.flags",
    reason: "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is about notifications, which are not supported",
    asked: ({ linux }) => linux?.seccomp?.flags?.includes("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") ?? false,
  },
  {
    field: "linux.intelRdt",
    reason: "the VM has no resctrl file system",
    asked: ({ linux }) => linux?.intelRdt !== undefined,
  },
  {
    field: "linux.memoryPolicy",
    reason: "the VM has a single NUMA node",
    asked: ({ linux }) => linux?.memoryPolicy !== undefined,
  },
];

const PROCESS: readonly Refusal<Process>[] = [
  { field: "apparmorProfile", reason: NO_LABELS, asked: ({ apparmorProfile }) => some(apparmorProfile) },
  { field: "selinuxLabel", reason: NO_LABELS, asked: ({ selinuxLabel }) => some(selinuxLabel) },
  { field: "commandLine", reason: "it is for Windows; use args", asked: ({ commandLine }) => some(commandLine) },
  { field: "user.username", reason: "it is for Windows; use uid and gid", asked: ({ user }) => some(user?.username) },
];

const RESOURCES: readonly Refusal<Resources>[] = [
  { field: "memory.kernel", reason: CGROUP_V1, asked: ({ memory }) => limits(memory?.kernel) },
  { field: "memory.kernelTCP", reason: CGROUP_V1, asked: ({ memory }) => limits(memory?.kernelTCP) },
  { field: "memory.swappiness", reason: CGROUP_V1, asked: ({ memory }) => memory?.swappiness !== undefined },
  { field: "memory.disableOOMKiller", reason: CGROUP_V1, asked: ({ memory }) => memory?.disableOOMKiller === true },
  {
    field: "memory.useHierarchy",
    reason: "cgroup v2 always accounts hierarchically, so it cannot be false",
    asked: ({ memory }) => memory?.useHierarchy === false,
  },
  { field: "cpu.realtimeRuntime", reason: CGROUP_V1, asked: ({ cpu }) => limits(cpu?.realtimeRuntime) },
  { field: "cpu.realtimePeriod", reason: CGROUP_V1, asked: ({ cpu }) => limits(cpu?.realtimePeriod) },
  { field: "blockIO.leafWeight", reason: CGROUP_V1, asked: ({ blockIO }) => limits(blockIO?.leafWeight) },
  {
    field: "blockIO.weightDevice[].leafWeight",
    reason: CGROUP_V1,
    asked: ({ blockIO }) => blockIO?.weightDevice?.some(({ leafWeight }) => limits(leafWeight)) ?? false,
  },
  { field: "network.classID", reason: CGROUP_V1, asked: ({ network }) => limits(network?.classID) },
  { field: "network.priorities", reason: CGROUP_V1, asked: ({ network }) => some(network?.priorities) },
  { field: "rdma", reason: "the VM has no RDMA devices", asked: ({ rdma }) => some(rdma) },
];

/** All of them, by their whole names, each with its reason. */
export const UNSUPPORTED: readonly { field: string; reason: string }[] = [
  ...CONFIG,
  ...below("process.", PROCESS),
  ...below("linux.resources.", RESOURCES),
];

/** Throws CAISSON_E_CONFIG_UNSUPPORTED that names every field of the configuration that we do not carry out. */
export function refuseUnsupported(config: Spec, source: string): void {
  refuse(source, [
    ...asked(CONFIG, config, ""),
    ...asked(PROCESS, config.process, "process."),
    ...asked(RESOURCES, config.linux?.resources, "linux.resources."),
  ]);
}

export function refuseUnsupportedProcess(process: Process, source: string): void {
  refuse(source, asked(PROCESS, process, "process."));
}

export function refuseUnsupportedResources(resources: Resources, source: string): void {
  refuse(source, asked(RESOURCES, resources, "resources."));
}

function asked<Part>(refusals: readonly Refusal<Part>[], part: Part | undefined, parent: string): Refusal<Part>[] {
  if (part === undefined) return [];
  return below(
    parent,
    refusals.filter((refusal) => refusal.asked(part)),
  );
}

function below<Part>(parent: string, refusals: readonly Refusal<Part>[]): Refusal<Part>[] {
  return refusals.map((refusal) => ({ ...refusal, field: `${parent}${refusal.field}` }));
}

function refuse(source: string, refusals: readonly Pick<Refusal<never>, "field" | "reason" | "remedy">[]): void {
  const [first] = refusals;
  if (first === undefined) return;
  const list = refusals.map(({ field, reason }) => `${field}: ${reason}`).join("; ");
  throw new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", `${source} asks for what is not carried out: ${list}`, {
    field: first.field,
    remedy: remedyFor(refusals),
  });
}

function remedyFor(refusals: readonly Pick<Refusal<never>, "remedy">[]): string {
  const removed = refusals.filter(({ remedy }) => remedy === undefined).length;
  const others = refusals.flatMap(({ remedy }) => remedy ?? []);
  if (removed === 0) return others.join(" ");
  const which = others.length > 0 ? "the other" : "the";
  return [...others, `Remove ${which} ${removed === 1 ? "field" : "fields"} from the configuration.`].join(" ");
}

function joined(type: string, reason: string): Refusal<Spec> {
  return {
    field: `linux.namespaces[${type}].path`,
    reason,
    asked: ({ linux }) =>
      linux?.namespaces?.some(({ type: other, path = "" }) => other === type && path !== "" && !isInGuest(path)) ??
      false,
  };
}

function some(value: string | readonly unknown[] | object | undefined): boolean {
  return value !== undefined && value !== "" && Object.keys(value).length > 0;
}

/** Zero and negative numbers mean "no limit" in all fields that ask this. */
function limits(value: number | bigint | undefined): boolean {
  return value !== undefined && value > 0;
}
