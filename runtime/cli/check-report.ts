/** What `check` found out, and how it is shown. */

export interface Finding {
  /** What was looked at: "QEMU". */
  subject: string;
  /** `note`: it works without, or differently. `failed`: it has to be put right first. */
  status: "ok" | "note" | "failed";
  /** What was found, or what will be used. */
  found: string;
  /** What to do about it; absent when all is well. */
  remedy?: string | undefined;
}

export function isUsable(findings: readonly Finding[]): boolean {
  return findings.every(({ status }) => status !== "failed");
}

/** Each finding is a line, its remedy the next. */
export function reportText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length)) + 2;
  const lines = findings.flatMap(({ subject, status, found, remedy }) => {
    const line = `${status.padEnd(8)}${subject.padEnd(width)}${found}`;
    return remedy === undefined ? [line] : [line, `${" ".repeat(8 + width)}-> ${remedy}`];
  });
  const verdict = isUsable(findings) ? "Containers can run here." : "What failed has to be put right first.";
  return [...lines, verdict].map((line) => `${line}\n`).join("");
}

export function reportJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ usable: isUsable(findings), findings }, null, 2)}\n`;
}
