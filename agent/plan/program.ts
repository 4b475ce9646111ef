import type { Process, Spec } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { capabilitySteps } from "./capabilities.ts";
import { parseEnvironment } from "./environment.ts";
import { startContainerSteps } from "./hooks.ts";
import { rlimitSteps } from "./rlimits.ts";
import { schedulingSteps } from "./scheduling.ts";
import { type SeccompFilter, seccompSteps } from "./seccomp.ts";
import { invalid } from "./unsupported.ts";
import { identityStep, stdioOwnerSteps, umaskStep } from "./user.ts";

export interface ProgramInput {
  process: Process;
  config: Spec;
  seccomp: SeccompFilter | undefined;
  userNamespace: boolean;
  /** Stdin is the guest's null device, which is nobody's. */
  noStdin: boolean;
  /** Stop before the program, as OCI's create does; hooks of startContainer follow. */
  stop: boolean;
}

/**
 * From root in the container to the program: limits, rights, user, the program's file.
 *
 * The order is the kernel's: limits are raised while that is allowed; a filter may need CAP_SYS_ADMIN; the bounding set
 * needs CAP_SETPCAP, which the change of the user takes away, and that change clears the other sets.
 */
export function programSteps(input: ProgramInput): Step[] {
  const { process, config, seccomp, userNamespace } = input;
  const args = process.args ?? [];
  const name = args[0];
  if (name === undefined || name === "") throw invalid("process.args", "must name a program");
  if (!process.cwd.startsWith("/"))
    throw invalid("process.cwd", `must be an absolute path, not ${JSON.stringify(process.cwd)}`);
  const environment = parseEnvironment(process.env ?? []);
  const capabilities = capabilitySteps(process.capabilities);
  const noNewPrivileges = process.noNewPrivileges === true;
  const directory = {
    path: process.cwd,
    field: "process.cwd",
    subject: process.cwd,
    task: "changing to the working directory (chdir)",
  };

  const steps: Step[] = [
    ...rlimitSteps(process.rlimits ?? [], userNamespace),
    ...schedulingSteps(process, config.linux, userNamespace),
    { op: "changeDirectory", ...directory },
  ];
  if (noNewPrivileges) {
    steps.push({ op: "noNewPrivileges", field: "process.noNewPrivileges", task: "giving up new privileges" });
  }
  const filter = seccompSteps(seccomp, noNewPrivileges);
  // The supervisor does the former; asking it takes calls that a filter need not allow.
  steps.push(...stdioOwnerSteps(process, config, input.noStdin), ...filter.privileged);
  steps.push(capabilities.bounding);
  steps.push(identityStep(process.user), capabilities.sets);
  steps.push({ op: "changeDirectoryAsUser", ...directory });
  steps.push(umaskStep(process.user));
  if (!environment.hasHome) {
    steps.push({
      op: "home",
      uid: process.user?.uid ?? 0,
      field: "process.env",
      subject: "HOME",
      task: "looking the home folder up",
    });
  }
  const program = { field: "process.args[0]", subject: name };
  steps.push({ op: "findProgram", name, path: environment.path, ...program, task: "finding the executable" });
  steps.push(...filter.last);
  if (input.stop) steps.push(...startContainerSteps(config));
  steps.push({ op: "execute", args, env: environment.entries, ...program, task: "executing the program" });
  return steps;
}
