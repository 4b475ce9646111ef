import assert from "node:assert/strict";
import { expectation, neutral } from "./differences.ts";
import { type Answers, runcVersion } from "./pair.ts";

/** The two runtimes must have said the same, unless the case is one of the accepted differences: then they must not, with a runc that is known. */
export function sameAnswer(name: string, { caisson, runc }: Answers): void {
  const ours = { exitCode: caisson.exitCode, stdout: neutral(caisson.stdout) };
  const theirs = { exitCode: runc.exitCode, stdout: neutral(runc.stdout) };
  const said = `caisson: ${caisson.stderr}\nrunc: ${runc.stderr}`;
  const expected = expectation(name, runcVersion());
  if (expected === "same") assert.deepEqual(ours, theirs, `${name}\n${said}\n${diff(ours, theirs)}`);
  if (expected === "different") assert.notDeepEqual(ours, theirs, `${name} does not differ any more`);
}

/** The lines of one that the other does not have, as diff(1) marks them. */
function diff(ours: { stdout: string }, theirs: { stdout: string }): string {
  const [a, b] = [ours, theirs].map(({ stdout }) => stdout.split("\n"));
  const missing = (from: string[] = [], to: string[] = []) => from.filter((line) => !to.includes(line));
  return [...missing(a, b).map((line) => `+ ${line}`), ...missing(b, a).map((line) => `- ${line}`)].join("\n");
}
