import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, readFileSync } from "node:fs";
import { join } from "node:path";

const POSIX = join(import.meta.dirname, "../../native/posix/index.ts");

/** Runs a script in a process of its own, which namespaces and sessions can be changed in, without a capability; its standard output. */
export function runScript(
  script: string,
  { without, ...options }: { detached?: boolean; without?: string } = {},
): string {
  const source = `import * as posix from ${JSON.stringify(POSIX)};\n${script}`;
  const words = [process.execPath, "--input-type=module", "--eval", source];
  // The program lies where another user may not reach it.
  if (without !== undefined) words.unshift("setpriv", `--inh-caps=-${without}`, `--bounding-set=-${without}`, "--");
  const [program = "", ...args] = words;
  const child = spawnSync(program, args, {
    encoding: "utf8",
    ...options,
  });
  assert.equal(child.status, 0, child.stderr);
  return child.stdout.trim();
}

export function closeOnExec(fd: number): boolean {
  const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
  return (Number.parseInt(flags ?? "", 8) & 0o2000000) !== 0;
}

export function closeAll(...fds: number[]): void {
  for (const fd of fds) closeSync(fd);
}
