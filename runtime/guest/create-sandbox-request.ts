import { realtime } from "../../native/posix/index.ts";
import type { CreateSandboxRequest } from "../../protocol/generated/agent.ts";
import { randomBytes } from "../text/digest.ts";
import { type MachineType, SHARE_SLOT_ADDRESS, SHARE_TAG } from "../vm/spec.ts";

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
  machine: MachineType,
  hostname = "",
): CreateSandboxRequest {
  return {
    sandboxId,
    realtimeNs: realtime(),
    entropy: randomBytes(ENTROPY_BYTES),
    hostname,
    share: { tag: SHARE_TAG, slotAddress: machine === "microvm" ? BigInt(SHARE_SLOT_ADDRESS) : 0n },
    logLevel,
    networkRequests: network,
  };
}
