/** Everything that must hold of a configuration before it is carried out, as a list of small checks. */
import type { Process, Resources, Spec } from "../../protocol/oci.ts";
import { log } from "../text/log.ts";
import type { Check } from "./checks/check.ts";
import { devices } from "./checks/devices.ts";
import { hooks } from "./checks/hooks.ts";
import { coveredPaths, personality } from "./checks/linux.ts";
import { mounts } from "./checks/mounts.ts";
import { namespaces, timeOffsets, userMappings } from "./checks/namespaces.ts";
import { invalidConfig, type Problem } from "./checks/problem.ts";
import { process, processProblems } from "./checks/process.ts";
import { resourceProblems, resources } from "./checks/resources.ts";
import { annotations, names, root } from "./checks/root.ts";
import { seccomp } from "./checks/seccomp.ts";
import { sysctl } from "./checks/sysctl.ts";
import { normalProcess } from "./normalise.ts";
import { type DocumentKind, structureProblems } from "./structure.ts";
import { removeUnknown } from "./unknown.ts";
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
  // A different major version gives other fields other meanings, so nothing else is worth saying about it.
  const wrongVersion = version === undefined ? undefined : versionProblem(version);
  if (wrongVersion !== undefined) throw invalidConfig(source, [wrongVersion]);
  const config = structured<Spec>(document, "config", source);
  refuseUnsupported(config, source);
  refuseIfAny(
    source,
    CHECKS.flatMap((check) => [...check(config)]),
  );
  return config;
}

/**
 * The document as a process that `exec` can add, without capabilities that do not exist, of which it warns; errors as
 * for validateConfig, fields named `process.args[0]`.
 */
export function validateProcess(
  document: unknown,
  source: string,
  warn = (sentence: string) => log.warning(sentence),
): Process {
  const process = structured<Process>(document, "process", source);
  refuseUnsupportedProcess(process, source);
  refuseIfAny(source, [...processProblems(process, "process")]);
  const warnings: string[] = [];
  const normal = normalProcess(process, warnings);
  for (const warning of warnings) warn(`${source}: ${warning}`);
  return normal;
}

/** The document as resources that `update` can set; errors as for validateConfig, fields named `memory.limit`. */
export function validateResources(document: unknown, source: string): Resources {
  const resources = structured<Resources>(document, "resources", source);
  refuseUnsupportedResources(resources, source);
  refuseIfAny(source, [...resourceProblems(resources, "resources")]);
  return resources;
}

/** The document without null and unknown properties, which are told to the debug log. */
function structured<Document>(document: unknown, kind: DocumentKind, source: string): Document {
  refuseIfAny(source, structureProblems(document, kind));
  for (const field of removeUnknown(document, kind)) {
    log.debug(`${source}: ${field} is not in the specification and is ignored`);
  }
  return document as Document;
}

function refuseIfAny(source: string, problems: readonly Problem[]): void {
  if (problems.length > 0) throw invalidConfig(source, problems);
}

function versionOf(document: unknown): string | undefined {
  const version = (document as { ociVersion?: unknown } | null)?.ociVersion;
  return typeof version === "string" ? version : undefined;
}
