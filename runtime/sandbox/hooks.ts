/** The hooks that run on the host (config.md, POSIX-platform Hooks). Those in the container run in the guest (agent/plan). */

import type { ChildProcess } from "node:child_process";
import { statSync } from "node:fs";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { CaissonError } from "../../protocol/errors.ts";
import { type Hook, type HookName, type Hooks, OCI_VERSION, type State } from "../../protocol/oci.ts";
import { inCallersNetworkNamespace } from "../network/namespace.ts";
import { now } from "../process/clock.ts";
import { deadline } from "../process/deadline.ts";
import { tracePhase } from "../process/trace.ts";
import { inCallersMountNamespace } from "../storage/mount-namespace.ts";
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
  const { path, args = [path], timeout } = hook;
  const field = `hooks.${name}[${index}]`;
  // "error running hook #" is what people search for, and tools match: runc's words.
  const failed = (how: string, cause?: unknown) =>
    new CaissonError("CAISSON_E_HOOK", `${field} ${JSON.stringify(path)}: error running hook #${index}: ${how}`, {
      cause,
      field,
    });
  // Most sandboxes have no hooks, and loading it takes 8 ms.
  const { spawn } = process.getBuiltinModule("node:child_process");
  const child = inCallersNamespaces(() =>
    spawn(path, args.slice(1), {
      argv0: args[0] ?? path,
      // Without `env` the runtime's own, as with runc.
      env: hook.env === undefined ? process.env : environmentOf(hook.env),
      cwd: statSync(state.bundle, { throwIfNoEntry: false })?.isDirectory() ? state.bundle : "/",
      stdio: ["pipe", "pipe", "pipe"],
    }),
  );
  const output = Promise.all([child.stdout, child.stderr].map(tailOf));
  // A hook that does not read its state, or closes its output, has not failed.
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify(state));
  const late = AbortSignal.timeout(Math.min(timeout ?? MAX_SECONDS, MAX_SECONDS) * 1000);
  const kill = () => child.kill("SIGKILL");
  late.addEventListener("abort", kill);
  signal?.addEventListener("abort", kill);
  try {
    const how = await endOf(child, name);
    signal?.throwIfAborted();
    if (late.aborted) throw failed(`took longer than its timeout of ${timeout} s`);
    if (how === undefined) return;
    const said = (await deadline(output, OUTPUT_LIMIT_MS))?.join("").trim();
    throw failed(said ? `${how}: ${said}` : how);
  } catch (error) {
    if (error instanceof CaissonError || signal?.aborted) throw error;
    throw failed("cannot be run", error);
  } finally {
    late.removeEventListener("abort", kill);
    signal?.removeEventListener("abort", kill);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** Hooks see the host as the caller does (config.md, POSIX-platform Hooks: the runtime namespace). */
function inCallersNamespaces<T>(run: () => T): T {
  return inCallersNetworkNamespace(() => inCallersMountNamespace(run));
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

/** Undefined for success, else how it failed. Rejects when it could not be started. */
function endOf(child: ChildProcess, name: HostHookName): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status, signal) => {
      if (signal !== null) resolve(`the ${name} hook was killed by ${signal}`);
      else resolve(status === 0 ? undefined : `the ${name} hook failed with exit code ${status}`);
    });
  });
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
