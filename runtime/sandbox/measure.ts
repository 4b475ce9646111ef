import { CaissonError } from "../../protocol/errors.ts";
import { type MeasuredProcess, type Measurement, toReadings } from "../metrics/measurement.ts";
import { codeOf } from "../text/errors.ts";
import type { Guest } from "./guest.ts";

/** How long a guest may take to say how it is: whoever scrapes waits for it. */
const GUEST_LIMIT_MS = 1500;

/** How the sandbox is. A guest that does not answer in time costs its own readings, not the others. */
export async function measureGuest(guest: Guest): Promise<Measurement> {
  const { id, origin, vcpus, memoryMib, machine, agent } = guest;
  const [hypervisor, ...others] = machine.pids();
  const processes: MeasuredProcess[] = [{ role: "shim", pid: process.pid }];
  if (hypervisor !== undefined) processes.push({ role: "hypervisor", pid: hypervisor });
  processes.push(...others.map((pid): MeasuredProcess => ({ role: "virtiofsd", pid })));
  const measured = { id, origin, vcpus, memoryMib, pod: guest.pod, processes };
  try {
    const stats = await agent.call("guestStats", {}, { timeoutMs: GUEST_LIMIT_MS });
    return { ...measured, agentCalls: agent.calls.values, guest: toReadings(stats, guest.network.interfaces) };
  } catch (error) {
    if (!(error instanceof CaissonError)) throw error;
    return { ...measured, agentCalls: agent.calls.values, problem: codeOf(error) };
  }
}
