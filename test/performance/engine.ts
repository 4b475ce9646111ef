import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Process, Spec } from "../../protocol/oci.ts";
import { hasEnded } from "./process.ts";
import type { Workspace } from "./workspace.ts";

const END_LIMIT_MS = 30_000;
const END_PAUSE_MS = 5;

export type Program = "caisson" | "runc" | "crun";

/** The whole commands of one container's life, in seconds. */
export interface Life {
  create: number;
  start: number;
  state: number;
  exec: number;
  kill: number;
  delete: number;
}

/** An OCI runtime's command line: all of them have runc's. Disposing of it deletes every container it still has. */
export class Engine implements AsyncDisposable {
  readonly by: Program;
  readonly #workspace: Workspace;
  readonly #signal: AbortSignal;
  readonly #argv: readonly string[];
  readonly #folder: string;
  readonly #ids = new Set<string>();
  #lastId = 0;

  /** @param program the file to run, with flags that all its commands take. */
  constructor(by: Program, program: readonly string[], workspace: Workspace, signal: AbortSignal) {
    this.by = by;
    this.#workspace = workspace;
    this.#signal = signal;
    this.#argv = [...program, "--root", join(workspace.roots, by)];
    this.#folder = mkdtempSync(join(workspace.directory, `${by}-`));
  }

  /**
   * A bundle as the runtime's own `spec` writes it, with this command and root file system.
   * @returns its folder.
   */
  bundle(name: string, rootfs: string, args: readonly string[], change: (spec: Spec) => void = () => {}): string {
    const directory = join(this.#folder, name);
    mkdirSync(directory);
    const [file = "", ...flags] = this.#argv;
    execFileSync(file, [...flags, "spec"], { cwd: directory, stdio: "ignore" });
    const config = join(directory, "config.json");
    const spec = JSON.parse(readFileSync(config, "utf8")) as Spec;
    Object.assign(spec.process as Process, { args, terminal: false });
    spec.root = { path: rootfs, readonly: true };
    change(spec);
    writeFileSync(config, JSON.stringify(spec));
    return directory;
  }

  /** The command line of a verb. */
  argv(...args: readonly string[]): string[] {
    return [...this.#argv, ...args];
  }

  /** `run` to the container's end, in seconds. */
  async run(bundle: string, ...flags: readonly string[]): Promise<number> {
    const id = this.#newId();
    const seconds = await this.#time(...flags, "run", "--bundle", bundle, id);
    this.#ids.delete(id);
    return seconds;
  }

  /** A command that is about no container, in seconds. */
  command(...args: readonly string[]): Promise<number> {
    return this.#time(...args);
  }

  /** Leaves a container running. `pid` is the runtime's pid of it: Caisson's daemon. */
  async start(bundle: string): Promise<{ id: string; pid: number }> {
    const id = this.#newId();
    const pidFile = join(this.#folder, `${id}.pid`);
    await this.#time("run", "--detach", "--pid-file", pidFile, "--bundle", bundle, id);
    return { id, pid: Number(readFileSync(pidFile, "utf8")) };
  }

  /** Creates, starts, uses, ends and deletes a container. */
  async live(bundle: string): Promise<Life> {
    const id = this.#newId();
    const pidFile = join(this.#folder, `${id}.pid`);
    const life = {
      create: await this.#time("create", "--pid-file", pidFile, "--bundle", bundle, id),
      start: await this.#time("start", id),
      state: await this.#time("state", id),
      exec: await this.#time("exec", id, "true"),
      kill: await this.#time("kill", id, "KILL"),
    };
    await this.#ended(Number(readFileSync(pidFile, "utf8")));
    const whole = { ...life, delete: await this.#time("delete", id) };
    this.#ids.delete(id);
    return whole;
  }

  /** Deletes one that may still run. */
  async remove(id: string): Promise<void> {
    await this.#workspace.commands.time(this.argv("delete", "--force", id), { tolerant: true });
    this.#ids.delete(id);
  }

  /** Also after the bench was interrupted. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of [...this.#ids]) await this.remove(id);
  }

  #newId(): string {
    this.#lastId += 1;
    const id = `${this.#workspace.mark}-${this.by}-${this.#lastId}`;
    this.#ids.add(id);
    return id;
  }

  #time(...args: readonly string[]): Promise<number> {
    return this.#workspace.commands.time(this.argv(...args), { signal: this.#signal });
  }

  async #ended(pid: number): Promise<void> {
    for (const limit = performance.now() + END_LIMIT_MS; !hasEnded(pid); ) {
      if (performance.now() > limit) throw new Error(`Process ${pid} of ${this.by} did not end after kill.`);
      await sleep(END_PAUSE_MS, undefined, { signal: this.#signal });
    }
  }
}
