import { randomBytes } from "node:crypto";
import type { CreateSandboxRequest } from "../../protocol/generated/agent.ts";
import { SHARE_TAG } from "../vm/spec.ts";

/** Mount options of the shared directory: only this guest writes it, so it may keep what it read and wrote. */
const SHARE_OPTIONS = "trans=virtio,version=9p2000.L,cache=loose,msize=512000,access=any";
const ENTROPY_BYTES = 64;

/**
 * What makes a guest a sandbox, as of now: its clock and its random numbers are in it.
 * @param network requests for the guest's kernel (network/message.ts).
 */
export function sandboxRequest(sandboxId: string, logLevel: string, network: Buffer): CreateSandboxRequest {
  return {
    sandboxId,
    realtimeNs: BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)),
    entropy: randomBytes(ENTROPY_BYTES),
    hostname: "",
    share: { type: "9p", tag: SHARE_TAG, options: SHARE_OPTIONS },
    logLevel,
    networkRequests: network,
  };
}
