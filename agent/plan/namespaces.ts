import type { NamespaceType, Spec, TimeOffset } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { invalid, unsupported } from "./unsupported.ts";
import { BECOME_ROOT, idMapText } from "./user.ts";

/** linux/sched.h */
const CLONE_FLAGS: Record<NamespaceType, number> = {
  time: 0x00000080,
  mount: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
};

/** The field that is named when a process of a running container cannot be made in its cgroup. */
export const CGROUP_FIELD = "linux.cgroupsPath";

interface Wanted {
  field: string;
  /** Joined when there is one, else made. */
  path: string;
}

/** The container's namespaces by type. */
export class Namespaces {
  readonly #wanted = new Map<NamespaceType, Wanted>();

  /** Throws CAISSON_E_CONFIG_INVALID for a namespace that is listed twice or does not exist. */
  constructor(config: Spec) {
    config.linux?.namespaces?.forEach(({ type, path }, index) => {
      const field = `linux.namespaces[${index}]`;
      if (!(type in CLONE_FLAGS)) throw invalid(`${field}.type`, `there is no namespace "${type}".`);
      if (this.#wanted.has(type)) throw invalid(field, `the namespace "${type}" is listed twice`);
      this.#wanted.set(type, { field, path: path ?? "" });
    });
  }

  /** Whether the container has its own, made or joined; else it shares the guest's. */
  has(type: NamespaceType): boolean {
    return this.#wanted.has(type);
  }

  makes(type: NamespaceType): boolean {
    return this.#wanted.get(type)?.path === "";
  }

  joins(type: NamespaceType): boolean {
    return this.has(type) && !this.makes(type);
  }

  /** The clone flags of those among `types` that the container has. */
  flags(types: readonly NamespaceType[], when: (type: NamespaceType) => boolean = () => true): number {
    return types.reduce((flags, type) => (this.has(type) && when(type) ? flags | CLONE_FLAGS[type] : flags), 0);
  }

  field(type: NamespaceType): string {
    return this.#wanted.get(type)?.field ?? "linux.namespaces";
  }

  path(type: NamespaceType): string {
    return this.#wanted.get(type)?.path ?? "";
  }
}

/** The namespaces that fork or unshare can make at once; the cgroup namespace's root is where its maker is, so it comes later. */
const TOGETHER: readonly NamespaceType[] = ["mount", "uts", "ipc", "pid", "network"];
const ALL = Object.keys(CLONE_FLAGS) as NamespaceType[];

/**
 * The steps from the pre-spawned container-init to a process in all the container's namespaces and in its cgroup.
 *
 * Usually one fork does it. When a user namespace meets namespaces that are joined, it takes two: joining needs the
 * guest's root, so that comes first, and what is made after that must belong to the user namespace; and a pid namespace
 * only takes in children. Then the first child joins the pid namespace for the second: that one's pid is what fork(2) says
 * where the forking process itself is, and the supervisor needs it as the guest's root has it.
 */
export function enterNamespacesSteps(
  config: Spec,
  namespaces: Namespaces,
  cgroup: string,
  oomScoreAdj: number,
): Step[] {
  checkMappings(config, namespaces);
  const joined = ALL.filter((type) => namespaces.joins(type));
  const inChild = joined.filter((type) => type !== "pid" && type !== "user");
  const twice = namespaces.has("user") && (namespaces.joins("user") || inChild.length > 0);
  const makes = (type: NamespaceType) => namespaces.makes(type);
  const making = { field: "linux.namespaces", task: "making the namespaces" };
  const steps: Step[] = [...timeSteps(config, namespaces)];

  for (const type of joined) {
    const about = {
      field: `${namespaces.field(type)}.path`,
      subject: namespaces.path(type),
      task: "opening the namespace",
    };
    steps.push({ op: "openNamespace", slot: ALL.indexOf(type), path: namespaces.path(type), ...about });
  }
  if (namespaces.joins("pid") && !twice) steps.push(joinStep(namespaces, "pid"));
  steps.push({
    op: "fork",
    flags: twice ? 0n : BigInt(namespaces.flags([...TOGETHER, "user"], makes)),
    cgroup,
    ...making,
    ...(cgroup !== "" && { subject: cgroup, task: "making the container's process in its namespaces and cgroup" }),
  });
  steps.push(oomScoreStep(oomScoreAdj, namespaces));
  for (const type of inChild) steps.push(joinStep(namespaces, type));
  if (namespaces.joins("pid") && twice) steps.push(joinStep(namespaces, "pid"));
  if (namespaces.joins("user")) steps.push(joinStep(namespaces, "user"), BECOME_ROOT);
  if (namespaces.makes("user")) {
    if (twice)
      steps.push({ op: "unshare", flags: CLONE_FLAGS.user, field: namespaces.field("user"), task: making.task });
    steps.push(...mapSteps(config), BECOME_ROOT);
  }
  if (twice) {
    steps.push({ op: "unshare", flags: namespaces.flags(TOGETHER, makes), ...making });
    steps.push({ op: "fork", flags: 0n, cgroup: "", ...making });
  }
  if (namespaces.makes("cgroup")) {
    const about = { field: namespaces.field("cgroup"), task: "making the cgroup namespace" };
    steps.push({ op: "unshare", flags: CLONE_FLAGS.cgroup, ...about });
  }
  if (namespaces.makes("network")) steps.push(loopbackStep(namespaces.field("network")));
  return steps;
}

/** The steps to a process that waits in a network namespace of its own, with the loopback interface up. */
export function emptyNetworkSteps(): Step[] {
  const field = "linux.namespaces";
  return [
    { op: "fork", flags: BigInt(CLONE_FLAGS.network), cgroup: "", field, task: "making a network namespace" },
    loopbackStep(field),
    { op: "barrier", barrier: "created", field, task: "waiting" },
  ];
}

/** The steps from the pre-spawned container-init to a process in a running container's namespaces and cgroup. */
export function joinContainerSteps(
  initPid: number,
  namespaces: Namespaces,
  cgroup: string,
  oomScoreAdj: number,
): Step[] {
  const joining = { field: "linux.namespaces", subject: `pid ${initPid}`, task: "joining the container's namespaces" };
  const steps: Step[] = [{ op: "openProcess", pid: initPid, ...joining }];
  if (namespaces.has("pid")) steps.push({ op: "joinProcess", types: CLONE_FLAGS.pid, ...joining });
  steps.push({
    op: "fork",
    flags: 0n,
    cgroup,
    field: CGROUP_FIELD,
    subject: cgroup,
    task: "joining the cgroup",
  });
  steps.push(oomScoreStep(oomScoreAdj, namespaces));
  const types = namespaces.flags(ALL.filter((type) => type !== "pid"));
  if (types !== 0) steps.push({ op: "joinProcess", types, ...joining });
  if (namespaces.has("user")) steps.push(BECOME_ROOT);
  return steps;
}

function loopbackStep(field: string): Step {
  return { op: "loopbackUp", field, task: "bringing the loopback interface up" };
}

function joinStep(namespaces: Namespaces, type: NamespaceType): Step {
  return {
    op: "setNamespace",
    slot: ALL.indexOf(type),
    type: CLONE_FLAGS[type],
    field: `${namespaces.field(type)}.path`,
    subject: namespaces.path(type),
    task: "joining the namespace",
  };
}

/** Before the fork: a time namespace takes in children only, and takes no offsets once it has a process. */
function timeSteps(config: Spec, namespaces: Namespaces): Step[] {
  const offsets = config.linux?.timeOffsets ?? {};
  const field = "linux.timeOffsets";
  if (!namespaces.makes("time")) {
    if (Object.keys(offsets).length === 0) return [];
    throw invalid(field, "needs a new time namespace in linux.namespaces");
  }
  const steps: Step[] = [
    { op: "unshare", flags: CLONE_FLAGS.time, field: namespaces.field("time"), task: "making the time namespace" },
  ];
  const line = (clock: string, offset: TimeOffset | undefined) =>
    offset === undefined ? "" : `${clock} ${offset.secs ?? 0} ${offset.nanosecs ?? 0}\n`;
  const data = line("monotonic", offsets.monotonic) + line("boottime", offsets.boottime);
  if (data !== "")
    steps.push({ op: "writeProc", file: "timens_offsets", data, field, task: "setting the clocks' offsets" });
  return steps;
}

function mapSteps(config: Spec): Step[] {
  return (["uid", "gid"] as const).map((kind) => ({
    op: "writeProc",
    file: `${kind}_map`,
    data: idMapText(config.linux?.[`${kind}Mappings`] ?? []),
    supervised: true,
    field: `linux.${kind}Mappings`,
    task: "writing the id map",
  }));
}

/** The agent's own value must not be inherited. The file is the guest's root's, who is nobody in a user namespace. */
function oomScoreStep(value: number, namespaces: Namespaces): Step {
  return {
    op: "writeProc",
    file: "oom_score_adj",
    data: String(value),
    ...(namespaces.has("user") && { supervised: true }),
    field: "process.oomScoreAdj",
    subject: String(value),
    task: "setting the OOM score",
  };
}

function checkMappings(config: Spec, namespaces: Namespaces): void {
  if (!namespaces.has("mount"))
    throw unsupported("linux.namespaces", "a container without a mount namespace is not supported");
  for (const name of ["uidMappings", "gidMappings"] as const) {
    const count = config.linux?.[name]?.length ?? 0;
    if (count > 0 && !namespaces.has("user"))
      throw invalid(`linux.${name}`, "needs a user namespace in linux.namespaces.");
    if (count === 0 && namespaces.makes("user")) throw invalid(`linux.${name}`, "a new user namespace needs id maps.");
  }
}
