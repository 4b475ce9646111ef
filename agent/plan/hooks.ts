import type { Hook, Spec } from "../../protocol/oci.ts";
import type { Barrier, Step } from "../steps.ts";

/** config.md, CreateContainer Hooks: in the container's namespaces, once its mounts are there and before pivot_root. */
export function createContainerSteps({ hooks }: Spec): Step[] {
  const programs = hooks?.createContainer ?? [];
  if (programs.length === 0) return [];
  return [barrierStep("createContainer"), ...hookSteps("createContainer", programs)];
}

/** config.md, StartContainer Hooks: in the container, after start, before the program. */
export function startContainerSteps({ hooks }: Spec): Step[] {
  return [barrierStep("created"), ...hookSteps("startContainer", hooks?.startContainer ?? [])];
}

function barrierStep(barrier: Barrier): Step {
  return { op: "barrier", barrier, field: barrier === "created" ? "process" : `hooks.${barrier}`, task: "waiting" };
}

function hookSteps(name: "createContainer" | "startContainer", hooks: readonly Hook[]): Step[] {
  return hooks.map(({ path, args = [path], env = [], timeout = 0 }, index) => ({
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
