/** Compiles an OCI configuration into the step list that container-init carries out (docs/design/plan.md). */
import type { Process, Spec } from "../../protocol/oci.ts";
import type { Plan, Step } from "../container-init/steps.ts";
import { consoleStep, type TerminalInput } from "./console.ts";
import { enterNamespacesSteps, joinContainerSteps, Namespaces } from "./namespaces.ts";
import { programSteps } from "./program.ts";
import { rootfsSteps } from "./rootfs.ts";
import { affinityStep } from "./scheduling.ts";
import { checkFilter, type SeccompFilter } from "./seccomp.ts";
import { sysctlSteps } from "./sysctl.ts";
import { invalid, refuseUnsupportedConfig, refuseUnsupportedProcess } from "./unsupported.ts";

export interface CreateInput extends TerminalInput {
  config: Spec;
  /** The root file system in the guest, absolute; in place of `config.root.path`. */
  rootfs: string;
  /** The container's cgroup, `/sys/fs/cgroup/...`; it must exist with its limits set. Empty: stay where the agent is. */
  cgroupPath: string;
  seccomp?: SeccompFilter | undefined;
  /** There is nothing to read: stdin is the null device. */
  noStdin?: boolean;
  /** The init does not wait to be started; not with hooks of startContainer. */
  starts?: boolean;
}

export interface ExecInput extends TerminalInput {
  process: Process;
  /** The container's own configuration: which namespaces there are, and the defaults of `process`. */
  config: Spec;
  /** The container's init process, as the guest's root pid namespace sees it. */
  initPid: number;
  cgroupPath: string;
  seccomp?: SeccompFilter | undefined;
  /** As of CreateInput. */
  noStdin?: boolean;
}

/**
 * The steps from a pre-spawned container-init to a container that waits to be started ("created"), if it is to, and on to its
 * program. Throws CAISSON_E_CONFIG_INVALID and CAISSON_E_CONFIG_UNSUPPORTED, both naming the field.
 */
export function compileCreate(input: CreateInput): Plan {
  const { config, noStdin = false, starts = false } = input;
  refuseUnsupportedConfig(config);
  const { process } = config;
  if (process === undefined) throw invalid("process", "is required");
  refuseUnsupportedProcess(process);
  const namespaces = new Namespaces(config);
  const userNamespace = namespaces.has("user");
  const seccomp = checkFilter(config, input.seccomp);
  const steps: Step[] = [
    ...nullInputSteps(noStdin),
    ...enterNamespacesSteps(config, namespaces, input.cgroupPath, process.oomScoreAdj ?? 0),
    NEW_KEYRING,
    ...nameSteps(config, namespaces),
    ...sysctlSteps(config, namespaces),
    ...rootfsSteps(input, userNamespace),
    ...programSteps({ process, config, seccomp, userNamespace, noStdin, stop: !starts }),
  ];
  return { steps };
}

/**
 * The steps from a pre-spawned container-init to one more process in a running container. Fields that `process` leaves
 * out are the container's own where that is what runc does: capabilities, no_new_privs and the OOM score.
 * Throws as `compileCreate` does.
 */
export function compileExec(input: ExecInput): Plan {
  const { config, noStdin = false } = input;
  refuseUnsupportedProcess(input.process);
  const process: Process = {
    ...input.process,
    capabilities: input.process.capabilities ?? config.process?.capabilities,
    noNewPrivileges: input.process.noNewPrivileges ?? config.process?.noNewPrivileges,
    oomScoreAdj: input.process.oomScoreAdj ?? config.process?.oomScoreAdj,
  };
  const namespaces = new Namespaces(config);
  const { initial = "", final = "" } = process.execCPUAffinity ?? {};
  const steps: Step[] = nullInputSteps(noStdin);
  if (initial !== "") steps.push(affinityStep(initial, "process.execCPUAffinity.initial"));
  steps.push(...joinContainerSteps(input.initPid, namespaces, input.cgroupPath, process.oomScoreAdj ?? 0));
  if (final !== "") steps.push(affinityStep(final, "process.execCPUAffinity.final"));
  steps.push(NEW_KEYRING, { op: "setSid", field: "process", task: "making a session" });
  if (process.terminal === true) steps.push(consoleStep(process, input, false));
  steps.push(
    ...programSteps({
      process,
      config,
      seccomp: checkFilter(config, input.seccomp),
      userNamespace: namespaces.has("user"),
      noStdin,
      stop: false,
    }),
  );
  return { steps };
}

/**
 * The steps from a pre-spawned container-init to a process of the guest itself: in the guest's own namespaces, with the rights
 * that `process` names. Throws as `compileCreate` does.
 */
export function compileGuestProcess(input: { process: Process; noStdin: boolean } & TerminalInput): Plan {
  const { process, noStdin } = input;
  refuseUnsupportedProcess(process);
  const config: Spec = { ociVersion: "" };
  const steps: Step[] = [
    ...nullInputSteps(noStdin),
    { op: "fork", flags: 0n, cgroup: "", field: "process", task: "making the process" },
    NEW_KEYRING,
    { op: "setSid", field: "process", task: "making a session" },
  ];
  if (process.terminal === true) steps.push(consoleStep(process, input, false));
  steps.push(...programSteps({ process, config, seccomp: undefined, userNamespace: false, noStdin, stop: false }));
  return { steps };
}

/** session-keyring(7): else the container would have the agent's. */
const NEW_KEYRING: Step = { op: "newKeyring", field: "process", task: "making a session keyring" };

/** Before all others: the guest's own device, whatever the container has at /dev/null. */
function nullInputSteps(wanted: boolean): Step[] {
  return wanted ? [{ op: "nullInput", field: "process", task: "opening /dev/null as its input" }] : [];
}

function nameSteps(config: Spec, namespaces: Namespaces): Step[] {
  const steps: Step[] = [];
  for (const field of ["hostname", "domainname"] as const) {
    const name = config[field];
    if (name === undefined || name === "") continue;
    if (!namespaces.has("uts")) throw invalid(field, `needs a namespace of type "uts" in linux.namespaces`);
    steps.push({ op: field, name, field, subject: name, task: "setting the name" });
  }
  return steps;
}
