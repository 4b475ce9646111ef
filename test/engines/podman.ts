/** podman with storage of its own, our runtime, and an image of busybox. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bundle } from "../harness/bundle.ts";
import { collect, PROGRAM, type Result } from "../harness/host.ts";

const LIMIT_MS = 90_000;

/** Why podman cannot run here; undefined when it can. */
export function whyNoPodman(): string | undefined {
  if (process.getuid?.() !== 0) return "podman is tested as root";
  if (spawnSync("podman", ["--version"]).error) return "podman is not installed (make test-engines installs it)";
  if (spawnSync("conmon", ["--version"]).error) return "conmon is not installed (make test-engines installs it)";
  return undefined;
}

export class Podman implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "caisson-podman-"));
  /** Not podman's default storage, and nothing that only a host with systemd has. */
  readonly #flags: string[];

  constructor() {
    const place = (name: string) => join(this.folder, name);
    this.#flags = ["--root", place("root"), "--runroot", place("run"), "--tmpdir", place("tmp")];
    this.#flags.push("--network-config-dir", place("net"), "--cgroup-manager", "cgroupfs", "--events-backend", "file");
    this.#flags.push("--storage-driver", "overlay", "--runtime", PROGRAM);
    using bundle = new Bundle();
    const tar = execFileSync("tar", ["-C", bundle.rootfs, "-c", "."], { maxBuffer: 1 << 30 });
    execFileSync("podman", [...this.#flags, "import", "-", "busybox"], { input: tar, stdio: ["pipe", "pipe", "pipe"] });
  }

  spawn(args: readonly string[]): ChildProcess {
    return spawn("podman", [...this.#flags, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  }

  /** The command line for a shell, as for script(1). */
  commandLine(args: readonly string[]): string {
    return ["podman", ...this.#flags, ...args].map((word) => `'${word}'`).join(" ");
  }

  async run(args: readonly string[], input = ""): Promise<Result> {
    const child = this.spawn(args);
    const output = collect(child);
    const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    try {
      return await output;
    } finally {
      clearTimeout(limit);
    }
  }

  /** Runs a command that must succeed, and returns what it printed. */
  async ok(args: readonly string[], input = ""): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(args, input);
    if (exitCode !== 0) throw new Error(`podman ${args.join(" ")} ended with ${exitCode}: ${stderr}`);
    return stdout;
  }

  /** `podman run --rm` without a network; what it printed. */
  async print(flags: readonly string[], ...command: string[]): Promise<string> {
    return this.ok(["run", "--rm", "--network", "none", ...flags, "busybox", ...command]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run(["rm", "--all", "--force", "--time", "0"]);
    await this.run(["volume", "prune", "--force"]);
    spawnSync("umount", [join(this.folder, "root", "overlay")]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
