import type { Int64 } from "./oci.ts";

/**
 * The cgroup v2 weight for cgroup v1 shares, as runc 1.3 and later convert them: a quadratic in log2(shares) through the
 * minimum (2 -> 1), the default (1024 -> 100) and the maximum (262144 -> 10000).
 */
export function weightOfShares(shares: Int64): number {
  const number = Number(shares);
  if (number <= 2) return 1;
  if (number >= 262144) return 10000;
  const log = Math.log2(number);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}
