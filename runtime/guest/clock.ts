import { realtime } from "../../native/posix/index.ts";
import type { StartContainerRequest } from "../../protocol/generated/agent.ts";

/** What StartContainer carries of it. */
type ClockPart = Pick<StartContainerRequest, "sentNs" | "aheadLeastNs" | "aheadMostNs">;

/** The guest's clock is left as it is. */
export const NO_CLOCK: ClockPart = { sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n };

/** More than any clock is off by. */
const UNKNOWN_NS = 2n ** 62n;

/**
 * How far a guest's clock may be ahead of this host's, nanoseconds, by what is known of exchanges with it: each message was
 * received after it was sent. The best message of either way counts (RFC 5905, section 8).
 */
export class GuestClock {
  #leastNs = -UNKNOWN_NS;
  #mostNs = UNKNOWN_NS;

  /** A message to the guest: sent by this host's clock, received by the guest's. */
  sent(sentNs: bigint, receivedNs: bigint): void {
    const ahead = receivedNs - sentNs;
    if (ahead < this.#mostNs) this.#mostNs = ahead;
  }

  /** A message from the guest: sent by its clock, arrived by this host's. */
  answered(answeredNs: bigint, arrivedNs: bigint): void {
    const ahead = answeredNs - arrivedNs;
    if (ahead > this.#leastNs) this.#leastNs = ahead;
  }

  /** Half-way between the bounds, of which both must be known. */
  get aheadNs(): bigint {
    return (this.#leastNs + this.#mostNs) / 2n;
  }

  /** For the message that has the guest set its clock right, which is sent now. */
  correction(): ClockPart {
    return { sentNs: realtime(), aheadLeastNs: this.#leastNs, aheadMostNs: this.#mostNs };
  }
}
