/** Everything that must hold of a configuration before it is carried out, as a list of small checks. */
import type { Process, Resources, Spec } from "../../protocol/oci.ts";
import type { Check } from "./checks/check.ts";
import { deviceRules, devices } from "./checks/devices.ts";
import { hooks } from "./checks/hooks.ts";
import { coveredPaths, personality } from "./checks/linux.ts";
import { mounts } from "./checks/mounts.ts";
import { namespaces, timeOffsets, userMappings } from "./checks/namespaces.ts";
import { process, processProblems } from "./checks/process.ts";
import { resourceProblems, resources } from "./checks/resources.ts";
import { annotations, names, root } from "./checks/root.ts";
import { seccomp } from "./checks/seccomp.ts";
import { sysctl } from "./checks/sysctl.ts";
import { invalidConfig, type Problem } from "./problem.ts";
import { structureProblems } from "./structure.ts";
import { refuseUnsupported, refuseUnsupportedProcess, refuseUnsupportedResources } from "./unsupported.ts";
import { versionProblem } from "./version.ts";

const CHECKS: readonly Check[] = [
  root,
  names,
  annotations,
  process,
  mounts,
  hooks,
  namespaces,
  userMappings,
  timeOffsets,
  sysctl,
  devices,
  deviceRules,
  resources,
  seccomp,
  coveredPaths,
  personality,
];

/**
 * The document as a configuration that we can carry out. `source` names it in errors, normally the file's path.
 * Throws CAISSON_E_CONFIG_INVALID with every problem, or CAISSON_E_CONFIG_UNSUPPORTED.
 */
export function validateConfig(document: unknown, source: string): Spec {
  const version = versionOf(document);
  // Another major version gives other fields other meanings, so nothing else is worth saying about it.
  const wrongVersion = version === undefined ? undefined : versionProblem(version);
  if (wrongVersion !== undefined) throw invalidConfig(source, [wrongVersion]);
  refuseIfAny(source, structureProblems(document, "config", ""));
  const config = document as Spec;
  refuseUnsupported(config, source);
  refuseIfAny(
    source,
    CHECKS.flatMap((check) => [...check(config)]),
  );
  return config;
}

/** The document as a process that `exec` can add; errors as for validateConfig, fields named `process.args[0]`. */
export function validateProcess(document: unknown, source: string): Process {
  refuseIfAny(source, structureProblems(document, "process", "process"));
  const process = document as Process;
  refuseUnsupportedProcess(process, source);
  refuseIfAny(source, [...processProblems(process, "process")]);
  return process;
}

/** The document as resources that `update` can set; errors as for validateConfig, fields named `memory.limit`. */
export function validateResources(document: unknown, source: string): Resources {
  refuseIfAny(source, structureProblems(document, "resources", "resources"));
  const resources = document as Resources;
  refuseUnsupportedResources(resources, source);
  refuseIfAny(source, [...resourceProblems(resources, "resources")]);
  return resources;
}

function refuseIfAny(source: string, problems: readonly Problem[]): void {
  if (problems.length > 0) throw invalidConfig(source, problems);
}

function versionOf(document: unknown): string | undefined {
  const version = (document as { ociVersion?: unknown } | null)?.ociVersion;
  return typeof version === "string" ? version : undefined;
}
