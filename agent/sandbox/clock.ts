import { adjustRealtime, realtime } from "../../native/posix/index.ts";
import type { StartContainerRequest } from "../../protocol/generated/agent.ts";

/** More than the host's clock can be away from the one it has just set: bounds like these are none. */
const LARGEST_NS = 10n ** 12n;

/** Sets the clock right: half-way between the bounds that the host knows, and what this message itself tells. */
export function setClockRight({ sentNs, aheadLeastNs, aheadMostNs }: StartContainerRequest): void {
  if (sentNs === 0n) return;
  const ahead = clockAhead(realtime(), { sentNs, aheadLeastNs, aheadMostNs });
  if (ahead !== 0n) adjustRealtime(-ahead);
}

/** How far this clock is ahead of the host's, nanoseconds; 0 when that cannot be told. */
export function clockAhead(
  receivedNs: bigint,
  { sentNs, aheadLeastNs, aheadMostNs }: Omit<StartContainerRequest, "containerId">,
): bigint {
  const byThis = receivedNs - sentNs;
  const mostNs = byThis < aheadMostNs ? byThis : aheadMostNs;
  if (aheadLeastNs < -LARGEST_NS || mostNs > LARGEST_NS) return 0n;
  return (aheadLeastNs + mostNs) / 2n;
}
