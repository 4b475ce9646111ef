/** The same bundle in caisson and in Debian's runc, side by side. */
import { execFileSync, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringifyJson } from "../../protocol/json.ts";
import type { Process } from "../../protocol/oci.ts";
import type { Bundle } from "../harness/bundle.ts";
import { collect, Host, type Result } from "../harness/host.ts";

const RUNC = "/usr/sbin/runc";
const RUNC_LIMIT_MS = 200_000;

/** Why nothing can be compared on this machine; undefined when it can. */
export function runcMissing(): string | undefined {
  try {
    accessSync(RUNC, constants.X_OK);
    return undefined;
  } catch {
    return `${RUNC} is not installed`;
  }
}

let version: string | undefined;

/** The version of Debian's runc: "1.1.5". */
export function runcVersion(): string {
  version ??= /^runc version (\d+\.\d+\.\d+)/.exec(execFileSync(RUNC, ["--version"], { encoding: "utf8" }))?.[1] ?? "";
  return version;
}

/** What both said. */
export interface Answers {
  caisson: Result;
  runc: Result;
}

/** Runs commands of both runtimes with the same arguments, in runtime roots of their own. */
export class Pair implements AsyncDisposable {
  readonly host = new Host();
  readonly #folder = mkdtempSync(join(tmpdir(), "caisson-runc-"));
  readonly #ids: string[] = [];

  id(): string {
    const id = this.host.id();
    this.#ids.push(id);
    return id;
  }

  /** Runs `args` with both, side by side. */
  async run(args: readonly string[], input = ""): Promise<Answers> {
    const [caisson, runc] = await Promise.all([this.host.run(args, { input }), this.runc(args, input)]);
    return { caisson, runc };
  }

  /** Runs the bundle's process to its end. */
  async runBundle(bundle: Bundle): Promise<Answers> {
    bundle.write();
    return this.run(["run", "--bundle", bundle.directory, this.id()]);
  }

  /** A container of the bundle in each, both with the id that is returned. */
  async start(bundle: Bundle): Promise<string> {
    bundle.write();
    const id = await this.host.start(bundle);
    this.#ids.push(id);
    const { exitCode, stderr } = await this.runc(["run", "--detach", "--bundle", bundle.directory, id], "", true);
    if (exitCode !== 0) throw new Error(`runc run ended with ${exitCode}: ${stderr}`);
    return id;
  }

  /** Runs a process object in the container of each. */
  async exec(id: string, process: Process, input = ""): Promise<Answers> {
    const file = join(this.#folder, "process.json");
    writeFileSync(file, stringifyJson(process));
    return this.run(["exec", "--process", file, id], input);
  }

  /** The program with its global options. */
  get runcCommand(): string[] {
    return [RUNC, "--root", join(this.#folder, "root")];
  }

  /** Runs runc; a detached container keeps stdout, so that must not be a pipe that somebody waits for the end of. */
  async runc(args: readonly string[], input = "", detached = false): Promise<Result> {
    const [program = "", ...global] = this.runcCommand;
    const child = spawn(program, [...global, ...args], {
      stdio: detached ? ["ignore", "ignore", "ignore"] : ["pipe", "pipe", "pipe"],
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    const limit = setTimeout(() => child.kill("SIGKILL"), RUNC_LIMIT_MS);
    try {
      return await collect(child);
    } finally {
      clearTimeout(limit);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.#ids) await this.runc(["delete", "--force", id]);
    await this.host[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
