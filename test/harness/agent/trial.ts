/** Runs plans on this host, with no VM: what the tests beside it are made of. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeReport, encodeContinue, encodePlan, type Report } from "../../../agent/container-init/codec.ts";
import { describeFailure } from "../../../agent/container-init/step-error.ts";
import type { Plan } from "../../../agent/container-init/steps.ts";
import { type CreateInput, compileCreate, compileExec, type ExecInput } from "../../../agent/plan/plan.ts";
import type { CaissonError } from "../../../protocol/errors.ts";
import type { Linux, Mount, NamespaceType, Process, Spec } from "../../../protocol/oci.ts";

export const CONTAINER_INIT = join(import.meta.dirname, "../../../out/native/container-init");
/** The tests make namespaces and mounts. */
export const NEEDS_ROOT = process.getuid?.() === 0 ? false : "needs root";

const APPLETS = [
  "sh",
  "cat",
  "ls",
  "id",
  "ps",
  "stat",
  "mount",
  "sleep",
  "mkdir",
  "touch",
  "ln",
  "grep",
  "env",
  "pwd",
  "hostname",
];
const MORE_APPLETS = [
  "readlink",
  "uname",
  "ifconfig",
  "umount",
  "stty",
  "tty",
  "head",
  "true",
  "chmod",
  "ionice",
  "sync",
  "seq",
  "sort",
];

/** A root file system with busybox; removed at the end of its scope. */
export class Rootfs {
  readonly path: string;
  readonly #folder: string;

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), "caisson-container-init-"));
    // A container's root in a user namespace must get there, too.
    chmodSync(this.#folder, 0o755);
    this.path = join(this.#folder, "rootfs");
    mkdirSync(join(this.path, "bin"), { recursive: true });
    copyFileSync("/bin/busybox", join(this.path, "bin/busybox"));
    chmodSync(join(this.path, "bin/busybox"), 0o755);
    for (const applet of [...APPLETS, ...MORE_APPLETS]) symlinkSync("busybox", join(this.path, "bin", applet));
  }

  /** A folder beside the root, for the sources of mounts. */
  folder(name: string): string {
    const path = join(this.#folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  file(path: string, content: string, mode = 0o644): void {
    const full = join(this.path, path);
    mkdirSync(join(full, ".."), { recursive: true });
    writeFileSync(full, content);
    chmodSync(full, mode);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export const PROC: Mount = { destination: "/proc", type: "proc", source: "proc" };
export const DEV: Mount = { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] };
export const DEVPTS: Mount = {
  destination: "/dev/pts",
  type: "devpts",
  source: "devpts",
  options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
};
const NAMESPACES: NamespaceType[] = ["pid", "network", "ipc", "uts", "mount", "cgroup"];

export interface Changes {
  process?: Partial<Process>;
  linux?: Linux;
  mounts?: Mount[];
  config?: Partial<Spec>;
}

/** A configuration that runs `script`, with proc and dev, and `changes` over it. */
export function configOf(script: string, changes: Changes = {}): Spec {
  return {
    ociVersion: "1.2.0",
    root: { path: "rootfs" },
    hostname: "trial",
    mounts: [PROC, DEV, ...(changes.mounts ?? [])],
    process: { cwd: "/", args: ["sh", "-c", script], env: ["PATH=/bin"], ...changes.process },
    linux: { namespaces: NAMESPACES.map((type) => ({ type })), ...changes.linux },
    ...changes.config,
  };
}

export interface Result {
  stdout: string;
  stderr: string;
  exit: { exitCode: number; signal: number } | undefined;
  error: CaissonError | undefined;
}

/** A container-init with the plan it was given. */
export class Trial {
  readonly plan: Plan;
  readonly child: ChildProcess;
  readonly control: Socket;
  readonly #reports: Report[] = [];
  readonly #waiting: ((report: Report | undefined) => void)[] = [];
  readonly #output = { stdout: "", stderr: "" };
  readonly #ended: Promise<unknown>;
  #open = true;

  /** `terminal`: the descriptor that takes the master. */
  constructor(plan: Plan, terminal: number | "pipe" = "pipe") {
    this.plan = plan;
    this.child = spawn(CONTAINER_INIT, [], { stdio: ["pipe", "pipe", "pipe", "pipe", terminal], env: {} });
    this.control = this.child.stdio[3] as Socket;
    let received = Buffer.alloc(0);
    this.control.on("data", (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      for (let next = decodeReport(received); next !== undefined; next = decodeReport(received)) {
        received = received.subarray(next.length);
        this.#deliver(next.report);
      }
    });
    this.control.on("error", () => {});
    this.control.on("close", () => {
      this.#open = false;
      for (const waiting of this.#waiting.splice(0)) waiting(undefined);
    });
    const ends = (["stdout", "stderr"] as const).map(async (name) => {
      for await (const text of this.child[name]?.setEncoding("utf8") ?? []) this.#output[name] += text;
    });
    this.#ended = Promise.all(ends);
    this.control.write(encodePlan(plan.steps));
  }

  #deliver(report: Report): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#reports.push(report);
    else waiting(report);
  }

  /** The next report; undefined when container-init has closed its end. */
  next(): Promise<Report | undefined> {
    const report = this.#reports.shift();
    if (report !== undefined || !this.#open) return Promise.resolve(report);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  proceed(state?: string): void {
    this.control.write(encodeContinue(state));
  }

  /** Lets container-init go; a process that still runs is killed. */
  async [Symbol.asyncDispose](): Promise<void> {
    const gone = this.child.exitCode !== null || this.child.signalCode !== null;
    this.control.destroy();
    this.child.stdin?.destroy();
    if (!gone) await new Promise((resolve) => this.child.once("exit", resolve));
  }

  /** Everything to the end: through all barriers, all output. */
  async finish(): Promise<Result> {
    this.child.stdin?.end();
    let exit: Result["exit"];
    let error: CaissonError | undefined;
    for (let report = await this.next(); report !== undefined; report = await this.next()) {
      if (report.type === "reached") this.proceed();
      if (report.type === "failed") error = describeFailure(this.plan, report);
      if (report.type === "exited") {
        const { exitCode, signal } = report;
        exit = { exitCode, signal };
        break;
      }
    }
    await this.#ended;
    return { ...this.#output, exit, error };
  }
}

export function createInput(config: Spec, rootfs: string): CreateInput {
  return { config, rootfs, cgroupPath: "", rows: 0, columns: 0 };
}

/** Runs a configuration from the plan to the end of its program. */
export async function run(rootfs: Rootfs, config: Spec, input: Partial<CreateInput> = {}): Promise<Result> {
  await using trial = new Trial(compileCreate({ ...createInput(config, rootfs.path), ...input }));
  return await trial.finish();
}

/** The lines that `script` prints in a container of its own; throws with all that is known when it fails. */
export async function lines(rootfs: Rootfs, script: string, changes: Changes = {}): Promise<string[]> {
  const result = await run(rootfs, configOf(script, changes));
  if (result.exit?.exitCode !== 0)
    throw new Error(`${result.error?.message} ${result.stderr} ${JSON.stringify(result.exit)}`);
  return result.stdout.trimEnd().split("\n");
}

/** The sentence of the failure that the configuration must end in. */
export async function failure(rootfs: Rootfs, changes: Changes): Promise<string> {
  const { error, exit } = await run(rootfs, configOf("true", changes));
  return `${error?.code} ${error?.message ?? JSON.stringify(exit)}`;
}

/** A container that is up and runs until its scope ends. */
export async function started(rootfs: Rootfs, config: Spec): Promise<{ trial: Trial; pid: number }> {
  const trial = new Trial(compileCreate(createInput(config, rootfs.path)));
  for (let report = await trial.next(); report !== undefined; report = await trial.next()) {
    if (report.type === "started") return { trial, pid: report.pid };
    if (report.type === "failed") throw describeFailure(trial.plan, report);
    if (report.type === "reached") trial.proceed();
  }
  throw new Error("container-init ended without a report");
}

/** Adds a process to a running container and runs it to its end. */
export async function exec(
  config: Spec,
  initPid: number,
  changes: Partial<Process>,
  input: Partial<ExecInput> = {},
): Promise<Result> {
  const process = { cwd: "/", env: ["PATH=/bin"], ...changes };
  await using trial = new Trial(
    compileExec({ process, config, initPid, cgroupPath: "", rows: 0, columns: 0, ...input }),
  );
  return await trial.finish();
}
