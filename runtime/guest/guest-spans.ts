import type { ContainerTimes } from "../../protocol/generated/agent.ts";
import type { Span } from "../process/spans.ts";

/** What the guest did to create a container; nothing when it is not known how far its clock is ahead. */
export function guestSpans(times: ContainerTimes, aheadNs: bigint | undefined): Span[] {
  if (aheadNs === undefined) return [];
  return [
    guestSpan("agent", "agent: create container", times.receivedNs, times.answeredNs, aheadNs),
    guestSpan("container-init", "container-init: set up", times.initBegunNs, times.initReachedNs, aheadNs),
  ];
}

/** A span by the guest's clock, put right. */
export function guestSpan(component: string, name: string, beginNs: bigint, endNs: bigint, aheadNs: bigint): Span {
  return { component, name, startMs: milliseconds(beginNs - aheadNs), endMs: milliseconds(endNs - aheadNs) };
}

/** With fractions: a number holds no more of a time of day than microseconds. */
function milliseconds(ns: bigint): number {
  return Number(ns / 1000n) / 1000;
}
