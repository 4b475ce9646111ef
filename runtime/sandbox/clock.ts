/** The guest's times of an exchange, nanoseconds since the epoch by its own clock. */
export interface GuestTimes {
  receivedNs: bigint;
  answeredNs: bigint;
}

/**
 * What is to be added to the guest's clock, nanoseconds: how far it lags behind this host's, if both ways of the exchange
 * took the same time (RFC 5905, section 8). It is off by half their difference.
 * @param sentNs @param arrivedNs when the request was sent and the answer had come, by this host's clock.
 */
export function clockCorrection(sentNs: bigint, { receivedNs, answeredNs }: GuestTimes, arrivedNs: bigint): bigint {
  return (sentNs - receivedNs + (arrivedNs - answeredNs)) / 2n;
}
