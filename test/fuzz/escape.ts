/** What in a plan would reach beyond the container it is for. */
import type { Step } from "../../agent/container-init/steps.ts";

/** The guest's own devices that containers without a /dev of their own get. */
const GUEST_DEVICE = /^\/dev\/(null|zero|full|random|urandom|tty|caisson\/[0-7]+-\d+-\d+-\d+-\d+)$/;
const NAMESPACED_SETTING = /^\/proc\/sys\/(net|fs\/mqueue|user|kernel\/(domainname|msg|sem|shm))/;
/** Below /proc of the container's own process. */
const OWN_FILES = ["oom_score_adj", "uid_map", "gid_map", "timens_offsets"];

/** Sentences, one for each step that acts outside the container; `share` is the container's folder in the share. */
export function* escapes(steps: readonly Step[], share: string): Iterable<string> {
  for (const step of steps) {
    const problem = problemOf(step, share);
    if (problem !== undefined) yield `${step.field}: ${step.op}: ${problem}`;
    for (const value of Object.values(step)) {
      if (typeof value === "string" && value.includes("\0")) yield `${step.field}: ${step.op}: a NUL byte`;
    }
  }
}

function problemOf(step: Step, share: string): string | undefined {
  switch (step.op) {
    case "rootfs":
      return step.path === `${share}/rootfs` ? undefined : `the root ${step.path}`;
    case "attachRoot":
      return step.path === "/tmp" ? undefined : `the root ${step.path}`;
    case "openTree":
      return isOwn(step.source, share) || GUEST_DEVICE.test(step.source) ? undefined : `the source ${step.source}`;
    case "makeDevice":
      if (step.supervised) return GUEST_DEVICE.test(step.path) ? undefined : `the guest's ${step.path}`;
      return inRoot(step.path);
    case "openNamespace":
      return `the namespace ${step.path}`;
    case "writeFile":
      return NAMESPACED_SETTING.test(step.path) && inRoot(step.path) === undefined
        ? undefined
        : `the file ${step.path}`;
    case "writeProc":
      return OWN_FILES.includes(step.file) ? undefined : `the file ${step.file}`;
    case "propagation":
      return step.path === "/" ? undefined : `the mount ${step.path}`;
    case "openFilesystem":
      return /^(9p|virtiofs)$/.test(step.type) ? "the share itself" : undefined;
    case "attachTree":
    case "targetAttributes":
    case "reconfigure":
      return inRoot(step.target);
    case "inheritMode":
    case "copyUp":
    case "mask":
    case "makeReadonly":
    case "symlink":
      return inRoot(step.path);
    default:
      return undefined;
  }
}

function isOwn(path: string, share: string): boolean {
  return path.startsWith(`${share}/`) && inRoot(path) === undefined;
}

/** container-init resolves every path below the root by itself; a plan is written so that it need not. */
function inRoot(path: string): string | undefined {
  const names = path.split("/");
  return path.startsWith("/") && !names.includes("..") && !names.includes(".") ? undefined : `the path ${path}`;
}
