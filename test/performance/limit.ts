/** The least that a sandbox's start can take on this machine: QEMU cloning the template, and nothing else. */
import { join } from "node:path";
import { sandboxSize } from "../../runtime/config/load.ts";
import { ScratchTaps } from "../../runtime/factory/template/scratch-taps.ts";
import { chooseVm, hostSize, templateStore } from "../../runtime/factory/vm-config.ts";
import { networkProblem } from "../../runtime/network/kernel-features.ts";
import { loadBundle } from "../../runtime/oci/bundle.ts";
import { ANY_TAP, type VmSpec } from "../../runtime/vm/spec.ts";
import { startMachine } from "../../runtime/vm/start-machine.ts";
import type { Workspace } from "./workspace.ts";

const LIMIT_MS = 30_000;

/** The VM that `caisson run` gives a bundle, with a share and a console in the workspace. */
export async function vmOf(bundle: string, workspace: Workspace, signal: AbortSignal): Promise<VmSpec> {
  const { settings } = workspace;
  const size = sandboxSize(loadBundle(bundle).config, settings, hostSize());
  return {
    ...(await chooseVm(settings, size, signal)),
    // The devices that a container without interfaces gets, too.
    networks: networkProblem() === undefined ? [ANY_TAP] : [],
    consoleLog: join(workspace.directory, "bare-console.log"),
  };
}

/**
 * Starts QEMU on the template by hand, without daemon, command line, container or a word to the agent, which greets by
 * itself (RFC 9113, section 3.4).
 * @returns seconds from QEMU's start to the agent's first byte.
 */
export async function timeLimit(vm: VmSpec, workspace: Workspace, signal: AbortSignal): Promise<number> {
  using template = templateStore(workspace.settings).open(vm);
  if (template === undefined) throw new Error("The template that was just built is not there any more.");
  using taps = new ScratchTaps(vm.networks.length);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  const start = performance.now();
  const machine = await startMachine({ ...vm, networks: taps.devices }, { signal: limit, clone: template });
  try {
    const first = Promise.withResolvers<number>();
    machine.agent.once("data", () => first.resolve(performance.now()));
    limit.addEventListener("abort", () => first.reject(limit.reason));
    void machine.died.then(({ description }) => first.reject(new Error(`The bare clone ${description}.`)));
    return ((await first.promise) - start) / 1000;
  } finally {
    await machine.kill();
  }
}
