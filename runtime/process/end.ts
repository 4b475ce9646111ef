import { exitAtOnce } from "../../native/posix/index.ts";

/**
 * Ends this process as process.exit() does, with what listens for its "exit", but leaves the clearing up to the kernel: whoever waits
 * for a daemon's end would wait 4 ms more for Node's.
 */
export function endProcess(exitCode: number): never {
  process.once("exit", () => exitAtOnce(exitCode));
  process.exit(exitCode);
}

/**
 * Has this process end without Node's waiting for its threads, of which a restored process has none. To be called before anything is loaded:
 * signal-exit, which execa brings, keeps what it finds.
 */
export function endWithoutThreads(): void {
  Object.assign(process, { reallyExit: exitAtOnce });
  process.on("beforeExit", () => process.exit());
}
