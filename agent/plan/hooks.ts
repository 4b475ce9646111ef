import type { Spec } from "../../protocol/oci.ts";
import type { Barrier, Step } from "../container-init/steps.ts";
import { parseEnvironment } from "./environment.ts";

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

/** A hook without `env` has the container's environment, as with runc: as it is by then, so HOME may be in it. */
function hookSteps(name: "createContainer" | "startContainer", { hooks, process }: Spec): Step[] {
  const programs = hooks?.[name] ?? [];
  if (programs.length === 0) return [];
  const { entries } = parseEnvironment(process?.env ?? []);
  return programs.map(({ path, args = [path], env, timeout = 0 }, index) => ({
    op: "hook",
    path,
    args,
    env: env ?? entries,
    home: env === undefined ? 1 : 0,
    timeoutMs: Math.min(timeout * 1000, MAX_TIMEOUT_MS),
    field: `hooks.${name}[${index}]`,
    subject: path,
    // What people search for, and tools match: runc's words.
    task: `error running hook #${index}`,
  }));
}

/** poll(2) counts milliseconds in an int. */
const MAX_TIMEOUT_MS = 0x7fffffff;
