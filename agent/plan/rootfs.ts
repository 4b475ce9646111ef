import type { Spec } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { consoleStep, type TerminalInput } from "./console.ts";
import { deviceSteps } from "./devices.ts";
import { createContainerSteps } from "./hooks.ts";
import { own, PROPAGATION } from "./mount-options.ts";
import { mountSteps, readonlyStep } from "./mounts.ts";
import { containerPath } from "./paths.ts";
import { invalid } from "./unsupported.ts";

/** A folder of the guest that everyone may enter, and that nobody sees again after the root has changed. */
const ANYWHERE = "/tmp";

export interface RootfsInput extends TerminalInput {
  config: Spec;
  rootfs: string;
}

/** Builds the container's file system in its mount namespace and moves into it. */
export function rootfsSteps(input: RootfsInput, userNamespace: boolean): Step[] {
  const { config, rootfs } = input;
  const { linux, process } = config;
  const propagation = parsePropagation(linux?.rootfsPropagation);
  const shared = propagation?.value === PROPAGATION.shared;
  const about = { field: "linux.rootfsPropagation", task: "setting the propagation of the mounts" };
  const mounts = mountSteps(config, userNamespace);
  const steps: Step[] = [];

  // Unless asked for, nothing that is mounted in the container may reach the guest; and what is unbindable could not be
  // bound to become the root.
  const unbindable = propagation?.value === PROPAGATION.unbindable;
  const first = propagation === undefined || unbindable ? PROPAGATION.slave : propagation.value;
  steps.push({ op: "propagation", path: "/", propagation: first, ...about });
  // pivot_root(2) refuses a new root below a shared mount.
  const privateParent = shared ? 1 : 0;
  const root = { field: "root.path", subject: rootfs, task: "mounting the root" };
  if (userNamespace) steps.push(...foreignRootSteps(rootfs, privateParent, root));
  else steps.push({ op: "rootfs", path: rootfs, privateParent, ...root });
  steps.push(...mounts.mounting, ...deviceSteps(config, userNamespace));
  const cwd = process?.cwd ?? "/";
  if (cwd !== "/") {
    const field = "process.cwd";
    steps.push({
      op: "makeDirectory",
      path: cwd,
      mode: 0o755,
      field,
      subject: cwd,
      task: "making the working directory",
    });
  }
  steps.push(...createContainerSteps(config));
  linux?.maskedPaths?.forEach((path, index) => {
    const field = `linux.maskedPaths[${index}]`;
    steps.push({ op: "mask", path: containerPath(path), field, subject: path, task: "masking the path" });
  });
  linux?.readonlyPaths?.forEach((path, index) => {
    const field = `linux.readonlyPaths[${index}]`;
    steps.push({
      op: "makeReadonly",
      path: containerPath(path),
      field,
      subject: path,
      task: "making the path read-only",
    });
  });
  steps.push({ op: "setSid", field: "process", task: "making a session" });
  if (process?.terminal === true) steps.push(consoleStep(process, input, true));
  steps.push(...mounts.closing);
  if (config.root?.readonly === true) steps.push(readonlyStep("/", { field: "root.readonly", subject: "/" }));
  steps.push({ op: "pivotRoot", field: "root.path", subject: rootfs, task: "changing to the root" });
  if (propagation !== undefined && propagation.value !== PROPAGATION.private) {
    const { recursive, value } = propagation;
    const attributes = { recursive: recursive ? 1 : 0, set: 0n, clear: 0n, propagation: value };
    steps.push({ op: "targetAttributes", target: "/", ...attributes, ...about });
  }
  return steps;
}

/**
 * The way to the folder is the guest's root's alone, so it is he who opens it; and what is mounted in the container later
 * must not reach the guest through it.
 */
function foreignRootSteps(
  rootfs: string,
  privateParent: number,
  about: { field: string; subject: string; task: string },
): Step[] {
  const attributes = { recursive: 1, set: 0n, clear: 0n, propagation: PROPAGATION.slave };
  return [
    { op: "openTree", source: rootfs, recursive: 1, supervised: true, ...about },
    { op: "treeAttributes", ...attributes, supervised: true, ...about },
    { op: "attachRoot", path: ANYWHERE, privateParent, ...about },
  ];
}

function parsePropagation(name: string | undefined): { value: bigint; recursive: boolean } | undefined {
  if (name === undefined || name === "") return undefined;
  const recursive = name.startsWith("r");
  const value = own<bigint>(PROPAGATION, recursive ? name.slice(1) : name);
  if (value === undefined) throw invalid("linux.rootfsPropagation", `there is no propagation "${name}"`);
  return { value, recursive };
}
