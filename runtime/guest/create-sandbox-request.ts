import { realtime } from "../../native/posix/index.ts";
import type { CreateSandboxRequest } from "../../protocol/generated/agent.ts";
import { randomBytes } from "../text/digest.ts";
import { memoryLayout } from "../vm/memory-layout.ts";
import { givesBack, SHARE_SLOT_ADDRESS, SHARE_TAG, type VmSpec } from "../vm/spec.ts";

const ENTROPY_BYTES = 64;

/**
 * What makes a guest a sandbox, as of now: its clock and its random numbers are in it.
 * @param network requests for the guest's kernel (network/message.ts).
 * @param hostname of the guest itself, for containers without a uts namespace; empty: the image's.
 */
export function sandboxRequest(
  sandboxId: string,
  logLevel: string,
  network: Buffer,
  vm: Pick<VmSpec, "machine" | "memoryMib" | "ceilingMib" | "passed">,
  hostname = "",
): CreateSandboxRequest {
  const { firstStep, steps } = memoryLayout(vm);
  return {
    sandboxId,
    realtimeNs: realtime(),
    entropy: randomBytes(ENTROPY_BYTES),
    hostname,
    share: { tag: SHARE_TAG, slotAddress: vm.machine === "microvm" ? BigInt(SHARE_SLOT_ADDRESS) : 0n },
    logLevel,
    networkRequests: network,
    memoryGrowth: steps === 0 ? undefined : { firstStep, steps },
    reportFreeMemory: givesBack(vm),
  };
}
