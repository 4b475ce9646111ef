import { randomBytes } from "node:crypto";
import { realtime } from "../../native/posix/index.ts";
import type { CreateSandboxRequest } from "../../protocol/generated/agent.ts";
import { LIVE_SHARE_TAG, SHARE_TAG } from "../vm/spec.ts";

/** access=client: what a process makes belongs to its own user. With "any" it all belongs to root, setuid programs as well. */
const SHARE_OPTIONS = "trans=virtio,version=9p2000.L,msize=512000,access=client";
/** Only this guest writes root file systems, so it may keep what it read and wrote of them. */
const OWN = "cache=loose";
/** Volumes are the host's as well. Unlike "none" this lets programs map files that they share (Documentation/filesystems/9p.rst). */
const LIVE = "cache=mmap";
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
  hostname = "",
): CreateSandboxRequest {
  return {
    sandboxId,
    realtimeNs: realtime(),
    entropy: randomBytes(ENTROPY_BYTES),
    hostname,
    share: { type: "9p", tag: SHARE_TAG, options: `${SHARE_OPTIONS},${OWN}` },
    liveShare: { type: "9p", tag: LIVE_SHARE_TAG, options: `${SHARE_OPTIONS},${LIVE}` },
    logLevel,
    networkRequests: network,
  };
}
