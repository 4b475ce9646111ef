/** When a guest takes more memory, and how much its containers may use until it is asked again. All sizes are bytes. */
import type { MemoryNow } from "./meminfo.ts";

const MIB = 1024 * 1024;

/** A container without a limit of its own. */
export interface Usage {
  /** memory.current (cgroup-v2.rst). */
  current: number;
  /** What of it is the page cache's or the kernel's to throw away. */
  reclaimable: number;
}

/** What is for the guest itself, its kernel and its agent: containers do not get the last of it unasked. */
function reserve(total: number): number {
  return Math.max(64 * MIB, total / 16);
}

/** What is left for containers. */
function spare({ total, available }: MemoryNow): number {
  return Math.max(0, available - reserve(total));
}

/** How much the guest should take now; nothing while an eighth of it is left. */
export function wanted(now: MemoryNow): number {
  const left = spare(now);
  const few = Math.max(128 * MIB, now.total / 8);
  return left >= few ? 0 : Math.max(256 * MIB, now.total / 4) - left;
}

/**
 * What each container may use before the guest looks again: together no more than there is, so that the guest is asked before it is out of memory,
 * whoever of them needs it. What is reclaimable counts as left already. Never less than what it uses, which would have it reclaimed.
 */
export function highs(now: MemoryNow, usages: readonly Usage[]): number[] {
  const share = spare(now) / Math.max(1, usages.length);
  return usages.map(({ current, reclaimable }) => Math.ceil(Math.max(current, current - reclaimable + share)));
}
