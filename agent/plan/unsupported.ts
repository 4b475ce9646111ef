import { CaissonError } from "../../protocol/errors.ts";
import type { Linux, Mount, Process, Root, Spec, User } from "../../protocol/oci.ts";

/** An error for a field whose value makes no sense, alone or beside the others. */
export function invalid(field: string, problem: string): CaissonError {
  return new CaissonError("CAISSON_E_CONFIG_INVALID", `${field}: ${problem}`, { field });
}

/** An error for a field that the agent does not carry out. */
export function unsupported(field: string, problem = "is not supported"): CaissonError {
  return new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", `${field}: ${problem}`, { field });
}

const CONFIG: readonly (keyof Spec)[] = [
  "ociVersion",
  "process",
  "root",
  "hostname",
  "domainname",
  "mounts",
  "hooks",
  "annotations",
  "linux",
];
const ROOT: readonly (keyof Root)[] = ["path", "readonly"];
const LINUX: readonly (keyof Linux)[] = [
  "uidMappings",
  "gidMappings",
  "sysctl",
  "resources",
  "cgroupsPath",
  "namespaces",
  "devices",
  "seccomp",
  "rootfsPropagation",
  "maskedPaths",
  "readonlyPaths",
  "personality",
  "timeOffsets",
];
const PROCESS: readonly (keyof Process)[] = [
  "terminal",
  "consoleSize",
  "user",
  "args",
  "env",
  "cwd",
  "capabilities",
  "rlimits",
  "noNewPrivileges",
  "oomScoreAdj",
  "scheduler",
  "ioPriority",
  // For processes that exec adds; it says nothing about the first one (config.md, Linux Process).
  "execCPUAffinity",
];
const USER: readonly (keyof User)[] = ["uid", "gid", "umask", "additionalGids"];
const MOUNT: readonly (keyof Mount)[] = ["destination", "type", "source", "options"];

/** The properties that some step carries out, by what they are below. */
export const CARRIED_OUT: Readonly<Record<string, readonly string[]>> = {
  "": CONFIG,
  "root.": ROOT,
  "linux.": LINUX,
  "mounts[].": MOUNT,
  "process.": PROCESS,
  "process.user.": USER,
};

/** Throws CAISSON_E_CONFIG_UNSUPPORTED for the first field of the configuration that no step carries out. */
export function refuseUnsupportedConfig(config: Spec): void {
  refuseOthers(config, CONFIG, "");
  refuseOthers(config.root ?? {}, ROOT, "root.");
  refuseOthers(config.linux ?? {}, LINUX, "linux.");
  config.mounts?.forEach((mount, index) => {
    refuseOthers(mount, MOUNT, `mounts[${index}].`);
  });
  const flags = config.linux?.personality?.flags ?? [];
  if (flags.length > 0) throw unsupported("linux.personality.flags");
}

/** The same for a process object, the container's first one or one that exec adds. */
export function refuseUnsupportedProcess(process: Process): void {
  refuseOthers(process, PROCESS, "process.");
  refuseOthers(process.user ?? {}, USER, "process.user.");
}

/** An absent, empty or false value asks for nothing, so it is no reason to refuse. */
function refuseOthers(object: object, carriedOut: readonly string[], prefix: string): void {
  for (const [name, value] of Object.entries(object)) {
    if (carriedOut.includes(name) || isNothing(value)) continue;
    throw unsupported(prefix + name);
  }
}

function isNothing(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === "" || value === false;
}
