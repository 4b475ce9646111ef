import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Bundle } from "./bundle.ts";
import { leftovers } from "./leftovers.ts";

export const PROGRAM = join(import.meta.dirname, "../../bin/caisson");

export interface Result {
  /** 128 + signal when a signal ended the program. */
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string | Buffer;
  cwd?: string;
  env?: Record<string, string>;
  /** Longer than any command takes on a busy machine; then it is killed. */
  limitMs?: number;
}

const LIMIT_MS = 200_000;
const SIGKILL = 9;
/** What ends by itself, as the processes of what was killed do, is gone long before. */
const REMAINS_LIMIT_MS = 30_000;

/** A runtime root of its own, and the commands that work on it. What it left behind can be asked for. */
export class Host implements AsyncDisposable {
  readonly root: string;
  /** In every id, so that what is left can be told from what others left. */
  readonly #mark = `t${randomBytes(4).toString("hex")}`;
  #lastId = 0;
  readonly #ids: string[] = [];

  constructor(root = mkdtempSync(join(tmpdir(), "caisson-root-"))) {
    this.root = root;
  }

  /** A container id that nobody has. */
  id(): string {
    this.#lastId += 1;
    const id = `${this.#mark}-${this.#lastId}`;
    this.#ids.push(id);
    return id;
  }

  /** Starts `caisson --root ... args`, and leaves it running. */
  spawn(args: readonly string[], options: Omit<RunOptions, "input" | "limitMs"> = {}): ChildProcess {
    return spawn(PROGRAM, ["--root", this.root, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  /** Runs `caisson --root ... args` to its end. */
  async run(args: readonly string[], { input = "", limitMs = LIMIT_MS, ...options }: RunOptions = {}): Promise<Result> {
    const child = this.spawn(args, options);
    const output = collect(child);
    const limit = setTimeout(() => child.kill("SIGKILL"), limitMs);
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    try {
      return await output;
    } finally {
      clearTimeout(limit);
    }
  }

  /** Runs a command that must succeed, and returns what it printed. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(args, options);
    if (exitCode !== 0) throw new Error(`caisson ${args.join(" ")} ended with ${exitCode}: ${stderr}`);
    return stdout;
  }

  /** A container that runs the bundle's process; the caller deletes it, or disposing of the host does. */
  async start(bundle: Bundle): Promise<string> {
    const id = this.id();
    await detached(this, ["run", "--detach", "--bundle", bundle.directory, id]);
    return id;
  }

  /** What `state` says of a container. */
  async status(id: string): Promise<string> {
    return (JSON.parse(await this.ok(["state", id])) as { status: string }).status;
  }

  /** Waits until a container has stopped. If it never does, the error tells what runs in it, and what its VM has said. */
  async stopped(id: string): Promise<void> {
    try {
      await until(async () => (await this.status(id)) === "stopped");
    } catch (cause) {
      const answers = [
        ["ps", id],
        ["logs", id, "--guest"],
        ["exec", id, "true"],
      ].map((args) => this.run(args));
      const told = (await Promise.all(answers)).map(
        ({ exitCode, stdout, stderr }) => `${exitCode}: ${stdout}${stderr}`,
      );
      throw new Error(`container ${id} does not stop. ps, logs and exec say:\n${told.join("\n")}`, { cause });
    }
  }

  /** The guest's pids of a container's processes. */
  async pids(id: string): Promise<number[]> {
    const [, ...lines] = (await this.ok(["ps", id, "-o", "pid"])).trimEnd().split("\n");
    return lines.map(Number);
  }

  /** Everything of this host's containers that is still there, one line each. */
  leftovers(): string[] {
    return leftovers(this.root, this.#mark);
  }

  /** The same, once what is about to end has had the time for it. */
  async remains(): Promise<string[]> {
    const end = performance.now() + REMAINS_LIMIT_MS;
    while (this.leftovers().length > 0 && performance.now() < end) await delay(UNTIL_PAUSE_MS);
    return this.leftovers();
  }

  /** Ends whatever still runs, so that one test's failure is not the next one's. */
  async clear(): Promise<void> {
    if (this.leftovers().length === 0) return;
    for (const id of this.#ids.splice(0)) await this.run(["delete", "--force", id]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** A detached container keeps its standard streams, so they must not be pipes that somebody waits for the end of. */
export async function detached(host: Host, args: readonly string[]): Promise<void> {
  const child = spawn(PROGRAM, ["--root", host.root, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const exitCode = await new Promise<number>((resolve) => child.once("exit", (code) => resolve(code ?? -1)));
  child.stderr.destroy();
  if (exitCode !== 0) throw new Error(`caisson ${args.join(" ")} ended with ${exitCode}: ${stderr}`);
}

/** The exit code and all output of a program, once it has ended. */
export function collect(child: ChildProcess): Promise<Result> {
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      resolve({ exitCode: code ?? 128 + (signal === "SIGKILL" ? SIGKILL : 0), stdout, stderr });
    });
  });
}

const RECORD = /level=error msg=("(?:[^"\\]|\\.)*")/;

/** The error that a program reported on stderr, as its log's text form has it or bare. */
export function errorOf({ stderr }: Result): string {
  const record = RECORD.exec(stderr)?.[1];
  return record === undefined ? stderr.trimEnd() : (JSON.parse(record) as string);
}

/** Also the first use of a template, which boots, warms and saves a VM, on a busy machine. */
const UNTIL_LIMIT_MS = 180_000;
const UNTIL_PAUSE_MS = 20;

/** Waits until something that others bring about holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + UNTIL_LIMIT_MS; !(await holds()); ) {
    if (performance.now() > end) throw new Error(`it never came to hold: ${holds}`);
    await delay(UNTIL_PAUSE_MS);
  }
}
