/** An engine with storage of its own, our runtime, and an image `busybox`. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bundle } from "../harness/bundle.ts";
import { collect, type Result } from "../harness/host.ts";

const LIMIT_MS = 200_000;
/** podman 5 warns of cgroup v1 on standard error, whatever it does. */
const ENVIRONMENT = { ...process.env, PODMAN_IGNORE_CGROUPSV1_WARNING: "1" };

export abstract class Engine implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "caisson-engine-"));
  /** The command and the flags before its verb. */
  abstract readonly command: readonly string[];
  /** The flags of `run` that choose our runtime. */
  abstract readonly runFlags: readonly string[];

  spawn(args: readonly string[]): ChildProcess {
    const [program = "", ...flags] = this.command;
    return spawn(program, [...flags, ...args], { stdio: ["pipe", "pipe", "pipe"], env: ENVIRONMENT });
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
    if (exitCode !== 0) throw new Error(`${this.command[0]} ${args.join(" ")} ended with ${exitCode}: ${stderr}`);
    return stdout;
  }

  /** Runs a container without a network to its end; the flags come before the image. */
  runContainer(flags: readonly string[], command: readonly string[], input = ""): Promise<Result> {
    return this.run(["run", "--rm", ...this.runFlags, "--network", "none", ...flags, "busybox", ...command], input);
  }

  /** The same for one that must succeed; what it printed. */
  print(flags: readonly string[], ...command: string[]): Promise<string> {
    return this.ok(["run", "--rm", ...this.runFlags, "--network", "none", ...flags, "busybox", ...command]);
  }

  /** Leaves a container running in the background. */
  async start(name: string, flags: readonly string[], ...command: string[]): Promise<void> {
    await this.ok([
      "run",
      "-d",
      "--name",
      name,
      ...this.runFlags,
      "--network",
      "none",
      ...flags,
      "busybox",
      ...command,
    ]);
  }

  /** Runs a command of the engine on a terminal of 33 lines and 77 columns; what it showed. */
  async onTerminal(args: readonly string[]): Promise<string> {
    const line = [...this.command, ...args].map((word) => `'${word}'`).join(" ");
    const child = spawn("script", ["-qec", `stty rows 33 cols 77; ${line}`, "/dev/null"], { env: ENVIRONMENT });
    return (await collect(child)).stdout.replaceAll("\r", "");
  }

  /** What `inspect` says with a Go template. */
  async inspect(name: string, template: string): Promise<string> {
    return (await this.ok(["inspect", "--format", template, name])).trim();
  }

  protected importImage(): void {
    using bundle = new Bundle();
    const tar = execFileSync("tar", ["-C", bundle.rootfs, "-c", "."], { maxBuffer: 1 << 30 });
    const [program = "", ...flags] = this.command;
    execFileSync(program, [...flags, "import", "-", "busybox"], { input: tar, stdio: ["pipe", "pipe", "pipe"] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
