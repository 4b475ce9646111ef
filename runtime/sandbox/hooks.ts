/** The hooks that run on the host (config.md, POSIX-platform Hooks). Those in the container run in the guest (agent/plan). */
import { constants } from "node:os";
import type { Readable } from "node:stream";
import type { ProcessEnd } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { type Hook, type HookName, type Hooks, OCI_VERSION, type State } from "../../protocol/oci.ts";
import { callersPlace } from "../process/callers.ts";
import { now } from "../process/clock.ts";
import { deadline } from "../process/deadline.ts";
import { environmentList } from "../process/environment.ts";
import { type PipedProgram, startPiped } from "../process/piped-program.ts";
import { signalName } from "../process/signal-number.ts";
import { tracePhase } from "../process/trace.ts";
import { log } from "../text/log.ts";

type HostHookName = Extract<HookName, "prestart" | "createRuntime" | "poststart" | "poststop">;

/** What of a container a hook's failure needs (Container). */
interface Killable {
  kill(signal: number, options: { all: boolean }): Promise<void>;
  init: { over: Promise<unknown> };
}

/** The host's hooks of a container over its life. */
export class HostHooks {
  readonly #hooks: Hooks;
  readonly #container: Pick<State, "id" | "bundle" | "annotations">;
  readonly #pid: number;
  readonly #abort = new AbortController();
  #begun = false;

  /** @param pid the OCI pid. */
  constructor(
    hooks: Hooks | undefined,
    { id, bundle, annotations }: Pick<State, "id" | "bundle" | "annotations">,
    pid = process.pid,
  ) {
    this.#pid = pid;
    this.#hooks = hooks ?? {};
    this.#container = { id, bundle, annotations };
  }

  /**
   * Runs the hooks of create. Prestart hooks, which are older than the others, were once called when a created container was
   * started, and the specification's own validation has "created" be their status, as crun does; runc says "creating" to both.
   * @throws CaissonError CAISSON_E_HOOK naming the hook that failed: the container must not be. The signal's reason.
   */
  async create(signal: AbortSignal): Promise<void> {
    this.#begun = true;
    await runHooks("prestart", this.#hooks.prestart, this.#state("created"), signal);
    await runHooks("createRuntime", this.#hooks.createRuntime, this.#state("creating"), signal);
  }

  /**
   * Resolves when they have run. One that fails is the container's end, as for runc and since runtime.md 1.3: before, it was
   * a warning.
   * @throws CaissonError CAISSON_E_HOOK naming it, when the container is killed; those after it have not run.
   */
  async poststart(container: Killable): Promise<void> {
    const { signal } = this.#abort;
    try {
      await runHooks("poststart", this.#hooks.poststart, this.#state("running"), signal);
    } catch (error) {
      if (signal.aborted) return;
      // The hook may have ended by itself.
      await container.kill(constants.signals.SIGKILL, { all: true }).catch(() => {});
      await container.init.over;
      throw error;
    }
  }

  /** Ends a poststart hook that runs: nobody waits for the container any more. */
  abort(): void {
    this.#abort.abort();
  }

  /** For a container that never came to be. Does nothing when create() had not been called. */
  async poststop(): Promise<void> {
    if (this.#begun) await runPoststopHooks(this.#hooks.poststop, this.#container);
  }

  #state(status: "creating" | "created" | "running"): State {
    const { id, bundle, annotations } = this.#container;
    return { ociVersion: OCI_VERSION, id, status, pid: this.#pid, bundle, ...(annotations && { annotations }) };
  }
}

/** Runs them once the container is gone; their failures are warnings (runtime.md, Lifecycle). */
export async function runPoststopHooks(
  hooks: readonly Hook[] | undefined,
  { id, bundle, annotations }: Pick<State, "id" | "bundle" | "annotations">,
): Promise<void> {
  const state: State = { ociVersion: OCI_VERSION, id, status: "stopped", bundle, ...(annotations && { annotations }) };
  for (const [index, hook] of (hooks ?? []).entries()) {
    await runHook("poststop", index, hook, state).catch((error: Error) => log.warning(error.message));
  }
}

/** How much of what a failed hook printed is told, in characters. */
const MAX_OUTPUT = 1000;
/** How long after its end what a hook printed may take to arrive: something it left behind may hold its output open. */
const OUTPUT_LIMIT_MS = 100;

/**
 * Runs the hooks of one name in their order, the state on their stdin.
 * @throws CaissonError CAISSON_E_HOOK naming the first hook that failed; those after it have not run. The signal's reason.
 */
async function runHooks(
  name: HostHookName,
  hooks: readonly Hook[] | undefined,
  state: State,
  signal?: AbortSignal,
): Promise<void> {
  for (const [index, hook] of (hooks ?? []).entries()) {
    signal?.throwIfAborted();
    await runHook(name, index, hook, state, signal);
  }
}

async function runHook(
  name: HostHookName,
  index: number,
  hook: Hook,
  state: State,
  signal?: AbortSignal,
): Promise<void> {
  const start = now();
  try {
    await run(name, index, hook, state, signal);
  } finally {
    tracePhase(`hooks.${name}[${index}] ${JSON.stringify(hook.path)}`, start);
  }
}

async function run(name: HostHookName, index: number, hook: Hook, state: State, signal?: AbortSignal): Promise<void> {
  const { path, timeout } = hook;
  const field = `hooks.${name}[${index}]`;
  // "error running hook #" is what people search for, and tools match: runc's words.
  const failed = (how: string, cause?: unknown) =>
    new CaissonError("CAISSON_E_HOOK", `${field} ${JSON.stringify(path)}: error running hook #${index}: ${how}`, {
      cause,
      field,
    });
  const child = startHook(hook, state.bundle, (cause) => failed("cannot be run", cause));
  const output = Promise.all([child.stdout, child.stderr].map(tailOf));
  // A hook that does not read its state, or closes its output, has not failed.
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify(state));
  const late = AbortSignal.timeout(Math.min(timeout ?? MAX_SECONDS, MAX_SECONDS) * 1000);
  late.addEventListener("abort", child.kill);
  signal?.addEventListener("abort", child.kill);
  try {
    const how = failureOf(await child.ended, name);
    signal?.throwIfAborted();
    if (late.aborted) throw failed(`took longer than its timeout of ${timeout} s`);
    if (how === undefined) return;
    const said = (await deadline(output, OUTPUT_LIMIT_MS))?.join("").trim();
    throw failed(said ? `${how}: ${said}` : how);
  } catch (error) {
    if (error instanceof CaissonError || signal?.aborted) throw error;
    throw failed("cannot be run", error);
  } finally {
    late.removeEventListener("abort", child.kill);
    signal?.removeEventListener("abort", child.kill);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** Hooks see the host as the caller does (config.md, POSIX-platform Hooks: the runtime namespace). */
function startHook({ path, args = [], env }: Hook, directory: string, failed: (cause: unknown) => Error): PipedProgram {
  // Without `env` the runtime's own, as with runc.
  const environment = environmentList(env === undefined ? process.env : environmentOf(env));
  try {
    return startPiped(args.length > 0 ? args : [path], { path, environment, directory, place: callersPlace() });
  } catch (error) {
    throw failed(error);
  }
}

/** What a timer can count: three weeks. */
const MAX_SECONDS = 2_000_000;

/** `environ`'s entries; of several with one name the last. */
function environmentOf(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) => {
      const equals = entry.indexOf("=");
      return [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

/** Undefined for success, else how it failed. */
function failureOf(end: ProcessEnd, name: HostHookName): string | undefined {
  if ("signal" in end) return `the ${name} hook was killed by ${signalName(end.signal)}`;
  return end.exitCode === 0 ? undefined : `the ${name} hook failed with exit code ${end.exitCode}`;
}

/** The last part of what comes, once all has come. */
function tailOf(stream: Readable): Promise<string> {
  return new Promise((resolve) => {
    let tail = "";
    stream.setEncoding("utf8").on("data", (text: string) => {
      tail = (tail + text).slice(-MAX_OUTPUT);
    });
    stream.once("close", () => resolve(tail));
    stream.once("error", () => resolve(tail));
  });
}
