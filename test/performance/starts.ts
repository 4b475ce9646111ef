import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { VmSpec } from "../../runtime/vm/spec.ts";
import { PROGRAM } from "../harness/host.ts";
import { Engine } from "./engine.ts";
import type { Figures } from "./figures.ts";
import type { RivalNotes } from "./host-facts.ts";
import { timeLimit, vmOf } from "./limit.ts";
import { type Phase, parseTrace } from "./phases.ts";
import { usableRivals } from "./rivals.ts";
import { VERBS } from "./things.ts";
import type { Workspace } from "./workspace.ts";

const AT_ONCE = 20;
/** The one that our commands have. */
const NODE = join(import.meta.dirname, "../../out/node");
/** The phase of a cold start that ends when the agent has answered. */
const BOOTED = "daemon: VM ready";

/** A runtime with its bundles. */
interface Bundled {
  engine: Engine;
  note: string;
  true: string;
  sleep: string;
}

/** Starts of `true` and single commands, of Caisson and of runtimes without a VM, with the same root file system. */
export class Starts implements AsyncDisposable {
  /** The VM that all of ours get. */
  readonly vm: VmSpec;
  /** The phases of each warm start that was traced. */
  readonly traces: Phase[][] = [];
  readonly #workspace: Workspace;
  readonly #figures: Figures;
  readonly #signal: AbortSignal;
  readonly #engines: readonly Bundled[];

  private constructor(
    workspace: Workspace,
    figures: Figures,
    signal: AbortSignal,
    engines: readonly Bundled[],
    vm: VmSpec,
  ) {
    this.vm = vm;
    this.#workspace = workspace;
    this.#figures = figures;
    this.#signal = signal;
    this.#engines = engines;
  }

  /**
   * Builds the template, which is timed, and runs everything once, which is not: files and caches are warm from then on.
   * @param rootfs what every runtime's containers get.
   */
  static async prepare(workspace: Workspace, rootfs: string, figures: Figures, signal: AbortSignal): Promise<Starts> {
    await using undo = new AsyncDisposableStack();
    const caisson = undo.use(new Engine("caisson", [PROGRAM, "--config", workspace.warm], workspace, signal));
    const rivals = await usableRivals(workspace, rootfs, signal, undo);
    const engines = [{ engine: caisson, note: "" }, ...rivals].map(({ engine, note }) => ({
      engine,
      note,
      true: engine.bundle("true", rootfs, ["true"]),
      sleep: engine.bundle("sleep", rootfs, ["sleep", "100000"]),
    }));
    const [ours] = engines as [Bundled];
    const argv = caisson.argv("template", "build", "--bundle", ours.true);
    figures.add("template", "caisson", await workspace.commands.time(argv, { signal }));
    for (const { engine, true: bundle, sleep } of engines) {
      await engine.run(bundle);
      await engine.live(sleep);
    }
    await caisson.run(ours.true, "--config", workspace.cloned);
    const vm = await vmOf(ours.true, workspace, signal);
    undo.move();
    return new Starts(workspace, figures, signal, engines, vm);
  }

  get caisson(): Engine {
    return this.#ours.engine;
  }

  /** Caisson, and runc where it runs. */
  get withRunc(): Engine[] {
    return this.#engines.map(({ engine }) => engine).filter(({ by }) => by !== "crun");
  }

  /** The bundle, for Caisson, of a container that sleeps. */
  get sleeper(): string {
    return this.#ours.sleep;
  }

  /** The runtimes without a VM, and how they are called if not plainly. */
  get rivals(): RivalNotes {
    return Object.fromEntries(this.#engines.slice(1).map(({ engine, note }) => [engine.by, note]));
  }

  /** Measures everything once. What comes first differs from round to round, so that nothing always follows the same. */
  async round(number: number): Promise<void> {
    const tasks = [
      async () => this.#figures.add("run", "limit", await timeLimit(this.vm, this.#workspace, this.#signal)),
      ...this.#engines.flatMap(({ engine, true: bundle, sleep }) => [
        async () => this.#figures.add("run", engine.by, await engine.run(bundle)),
        () => this.#live(engine, sleep),
        () => this.#parallel(engine, bundle),
      ]),
      () => this.#node(),
      () => this.#cloned(),
      () => this.#cold(),
      async () => this.traces.push((await this.#traced()).phases),
    ];
    const first = number % tasks.length;
    for (const task of [...tasks.slice(first), ...tasks.slice(0, first)]) await task();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { engine } of this.#engines) await engine[Symbol.asyncDispose]();
  }

  get #ours(): Bundled {
    return this.#engines[0] as Bundled;
  }

  async #live(engine: Engine, bundle: string): Promise<void> {
    const life = await engine.live(bundle);
    for (const verb of VERBS) this.#figures.add(verb, engine.by, life[verb]);
  }

  /** The shortest that a verb which is a program of Node.js' own could be. */
  async #node(): Promise<void> {
    const seconds = await this.#workspace.commands.time([NODE, "--eval", ""], { signal: this.#signal });
    for (const verb of VERBS) if (verb !== "exec") this.#figures.add(verb, "node", seconds);
  }

  async #parallel(engine: Engine, bundle: string): Promise<void> {
    const start = performance.now();
    const runs = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => engine.run(bundle)));
    const seconds = (performance.now() - start) / 1000;
    for (const run of runs) if (run.status === "rejected") throw run.reason;
    this.#figures.add("parallel", engine.by, seconds);
  }

  async #cloned(): Promise<void> {
    const seconds = await this.caisson.run(this.#ours.true, "--config", this.#workspace.cloned);
    this.#figures.add("run-clone", "caisson", seconds);
  }

  async #cold(): Promise<void> {
    const { seconds, phases } = await this.#traced("--config", this.#workspace.cold);
    const boot = phases.find(({ name }) => name === BOOTED);
    if (boot === undefined) throw new Error(`The trace of a cold start has no phase "${BOOTED}".`);
    this.#figures.add("cold", "caisson", seconds);
    this.#figures.add("boot", "caisson", boot.duration);
  }

  async #traced(...flags: readonly string[]): Promise<{ seconds: number; phases: Phase[] }> {
    const trace = join(this.#workspace.directory, "trace.json");
    const seconds = await this.caisson.run(this.#ours.true, ...flags, "--trace", trace);
    const phases = parseTrace(readFileSync(trace, "utf8"));
    rmSync(trace);
    return { seconds, phases };
  }
}
