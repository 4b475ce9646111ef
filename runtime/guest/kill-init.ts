import { constants } from "node:os";
import { CaissonError } from "../../protocol/errors.ts";
import { log } from "../text/log.ts";
import type { GuestVm } from "./guest-vm.ts";
import type { GuestProcess } from "./process.ts";

/** How long the agent may take to confirm that it has killed an init, and all processes of a container. */
const KILL_LIMIT_MS = 5000;
const KILL_ALL_LIMIT_MS = 10_000;
/** How long the kernel may take then to end the container's processes, which are as many as it has memory for. */
const END_LIMIT_MS = 10_000;

const SIGKILL = constants.signals.SIGKILL;

/**
 * Sends SIGKILL to a container's init. The VM of an agent that does not confirm it in time is ended: then nothing in there can
 * be told to end any more. So is, later, one in which the container does not end, if it is alone in there.
 */
export async function killInit(vm: GuestVm, init: GuestProcess, all: boolean): Promise<void> {
  const timeoutMs = all ? KILL_ALL_LIMIT_MS : KILL_LIMIT_MS;
  const name = `container ${init.id.containerId}`;
  try {
    await vm.agent.call("signalProcess", { process: init.id, signal: SIGKILL, all }, { timeoutMs });
  } catch (error) {
    if (!(error instanceof CaissonError) || error.code !== "CAISSON_E_TIMEOUT") throw error;
    await vm.giveUp(`its agent did not confirm SIGKILL for ${name} within ${timeoutMs / 1000} s`);
    await init.over;
    return;
  }
  const limit = setTimeout(() => {
    if (vm.isShared) log.warning(`${name} has not ended within ${END_LIMIT_MS / 1000} s of SIGKILL`);
    else void vm.giveUp(`${name} did not end within ${END_LIMIT_MS / 1000} s of SIGKILL`);
  }, END_LIMIT_MS);
  void init.over.then(() => clearTimeout(limit));
}
