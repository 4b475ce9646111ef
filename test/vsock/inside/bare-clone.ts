/** What a clone of a template takes by itself: QEMU's start and its loading of the state, and the agent's first answer. */
import { join } from "node:path";
import type { Settings } from "../../../runtime/config/load.ts";
import { sandboxSize } from "../../../runtime/config/size.ts";
import { ScratchTaps } from "../../../runtime/factory/template/scratch-taps.ts";
import { chooseVm, hostSize, templateStore } from "../../../runtime/factory/vm-config.ts";
import { defaultSpec } from "../../../runtime/oci/default-spec.ts";
import { ANY_TAP } from "../../../runtime/vm/spec.ts";
import { startMachine } from "../../../runtime/vm/start-machine.ts";
import { agentAnswers } from "../../vm/guest.ts";

export interface BareTimes {
  runsMs: number;
  answersMs: number;
}

/** @param folder takes the console's log. @throws Error when there is no template of a container without a network. */
export async function bareClone(settings: Settings, folder: string, signal: AbortSignal): Promise<BareTimes> {
  const shape = await chooseVm(settings, sandboxSize(defaultSpec(), settings, hostSize()), signal);
  const vm = { ...shape, networks: [ANY_TAP], consoleLog: join(folder, "console.log") };
  using clone = templateStore(settings).open(vm);
  if (clone === undefined) throw new Error("there is no template of this VM");
  using taps = new ScratchTaps(vm.networks.length);
  const start = performance.now();
  const machine = await startMachine({ ...vm, networks: taps.devices }, { signal, clone });
  const runsMs = Math.round(performance.now() - start);
  await agentAnswers(machine, signal);
  const answersMs = Math.round(performance.now() - start);
  await machine.kill();
  return { runsMs, answersMs };
}
