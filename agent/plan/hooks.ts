import type { Spec } from "../../protocol/oci.ts";
import type { Barrier, Step } from "../steps.ts";

/** config.md, CreateContainer Hooks: in the container's namespaces, once its mounts are there and before pivot_root. */
export function createContainerSteps(spec: Spec): Step[] {
  const hooks = hookSteps("createContainer", spec);
  return hooks.length === 0 ? [] : [barrierStep("createContainer"), ...hooks];
}

/** config.md, StartContainer Hooks: in the container, after start, before the program. */
export function startContainerSteps(spec: Spec): Step[] {
  return [barrierStep("created"), ...hookSteps("startContainer", spec)];
}

function barrierStep(barrier: Barrier): Step {
  return { op: "barrier", barrier, field: barrier === "created" ? "process" : `hooks.${barrier}`, task: "waiting" };
}

/** A hook without `env` has the container's environment, as with runc. */
function hookSteps(name: "createContainer" | "startContainer", { hooks, process }: Spec): Step[] {
  const programs = hooks?.[name] ?? [];
  return programs.map(({ path, args = [path], env = process?.env ?? [], timeout = 0 }, index) => ({
    op: "hook",
    path,
    args,
    env,
    timeoutMs: Math.min(timeout * 1000, MAX_TIMEOUT_MS),
    field: `hooks.${name}[${index}]`,
    subject: path,
    task: "running the hook",
  }));
}

/** poll(2) counts milliseconds in an int. */
const MAX_TIMEOUT_MS = 0x7fffffff;
