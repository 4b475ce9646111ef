import type { ChildProcess } from "node:child_process";

/**
 * A process of the host that stands for a container: engines tell containers apart by their pids, and name the namespaces of
 * one by it. It is in the sandbox's cgroup and network namespace, does nothing, and ends with this process at the latest.
 */
export class PlaceholderProcess {
  readonly #child: ChildProcess;

  constructor() {
    const { spawn } = process.getBuiltinModule("node:child_process");
    // cat(1) reads until we close our end.
    this.#child = spawn("cat", [], { stdio: ["pipe", "ignore", "ignore"], cwd: "/" });
    this.#child.on("error", () => {});
    this.#child.stdin?.on("error", () => {});
  }

  /** The pid of this process when no other could be started. */
  get pid(): number {
    return this.#child.pid ?? process.pid;
  }

  end(): void {
    this.#child.stdin?.end();
  }
}
