import type { KnownSandbox } from "../exporter/sandboxes.ts";
import type { Failure } from "../metrics/totals.ts";

export interface SummaryFacts {
  sandboxes: readonly KnownSandbox[];
  /** The sandbox that failed last, as far as that was remembered. */
  last: Failure | undefined;
  /** Why records could not be read. */
  skipped: readonly string[];
  version: string;
}

/** What an operator reads first: which sandbox failed last and why, and how the others are. */
export function summarise({ sandboxes, last, skipped, version }: SummaryFacts): string {
  const parts = [`caisson ${version}`, failureText(last), ...lostTexts(sandboxes, last), ""];
  const states = new Map<string, number>();
  for (const { record } of sandboxes) states.set(record.status, (states.get(record.status) ?? 0) + 1);
  const counts = [...states].map(([status, count]) => `${count} ${status}`).join(", ");
  parts.push(`containers and sandboxes: ${counts === "" ? "none" : counts}`);
  if (skipped.length > 0) parts.push(`records that cannot be read: ${skipped.length} (unreadable.txt)`);
  for (const { id, record, namespace } of sandboxes) {
    const { status, created, exitCode, exitReason } = record;
    const how = [exitCode === undefined ? "" : `exit code ${exitCode}`, exitReason ?? ""].filter((each) => each !== "");
    const where = namespace === "" ? "" : ` (${namespace})`;
    parts.push(`  ${id}${where}: ${status}, created ${created}${how.length === 0 ? "" : `, ${how.join(", ")}`}`);
  }
  return `${parts.join("\n")}\n`;
}

function failureText(last: Failure | undefined): string {
  if (last === undefined) return "no sandbox has failed since the host was booted, as far as is known";
  const { at, sandbox, code, message } = last;
  return `the sandbox that failed last: ${sandbox}, at ${new Date(at).toISOString()}: ${code}: ${message}`;
}

/** The sandboxes that are still there and did not end by themselves. */
function lostTexts(sandboxes: readonly KnownSandbox[], last: Failure | undefined): string[] {
  return sandboxes
    .filter(({ id, record }) => record.exitReason !== undefined && id !== last?.sandbox)
    .map(({ id, record }) => `lost as well: ${id}: ${record.exitReason}`);
}
