import { type ExecFileSyncOptions, execFileSync } from "node:child_process";

/** More than the slowest of them takes on a busy machine with a slow network: all of the guest's packages are fetched. */
const LIMIT_MS = 15 * 60 * 1000;

/**
 * Runs a program of the build to its end.
 * @returns what it printed. @throws the error of execFileSync() when it fails, or takes longer than a quarter of an hour.
 */
export function run(
  program: string,
  args: readonly string[],
  options: ExecFileSyncOptions & { encoding: "utf8" },
): string;
export function run(program: string, args: readonly string[], options?: ExecFileSyncOptions): Buffer;
export function run(program: string, args: readonly string[], options: ExecFileSyncOptions = {}): string | Buffer {
  return execFileSync(program, args, { timeout: LIMIT_MS, killSignal: "SIGKILL", ...options });
}
