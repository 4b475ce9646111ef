import { CaissonError } from "../../../protocol/errors.ts";
import { deadline } from "../../process/deadline.ts";
import { formatError, systemErrorSentence } from "../../text/errors.ts";
import { log } from "../../text/log.ts";
import { type ExitReason, startError, startTimeoutError } from "../../vm/exit-reason.ts";
import type { Machine, StartOptions } from "../../vm/machine.ts";
import type { VmSpec } from "../../vm/spec.ts";
import { startMachine } from "../../vm/start-machine.ts";
import { type ForkedMachine, forkMachine } from "../fork-server/fork.ts";
import type { ForkServer } from "../fork-server/fork-server.ts";

export interface BootOptions extends StartOptions {
  /** How long one attempt may take until `ready` has returned. */
  limitMs: number;
  /** Asks this one for the VM; one that does not come of it is cloned. */
  forkServer?: ForkServer | undefined;
  /** A VM that was forked is moved into it: its processes are not where this process is. */
  cgroup?: VmCgroup | undefined;
}

/** The host's cgroup that a VM is to be in. */
export interface VmCgroup {
  /** Resolves when this process is in it, and with it what it starts; rejects when it cannot be. */
  readonly joined: Promise<void>;
  /** Moves the processes of a VM into it that this process has not started. */
  adopt(machine: Pick<Machine, "pids">): Promise<void>;
}

/** How a VM has come: it was started anew, from a template, or by a template's fork server. */
export type Origin = "booted" | "cloned" | "forked";

export interface Booted<T> {
  machine: Machine;
  value: T;
  origin: Origin;
}

const DEATH_FOLLOWS_MS = 250;
/** A boot is tried twice: under emulation on a busy host one may hang. A clone that fails once would fail again. */
const BOOT_ATTEMPTS = 2;

/**
 * Starts a VM and has `ready` talk to its agent; returns both the VM and what `ready` returned.
 * @throws CAISSON_E_VM_START, with the console's last lines, when the VM died first or took too long; what `ready`
 *   threw; or the signal's reason. No VM is left then.
 */
export async function bootMachine<T>(
  spec: VmSpec,
  ready: (machine: Machine, signal: AbortSignal) => Promise<T>,
  options: BootOptions,
): Promise<Booted<T>> {
  const { clone, forkServer } = options;
  if (forkServer !== undefined) {
    const fork = (signal: AbortSignal) => startFork(spec, forkServer, { ...options, signal });
    try {
      return { ...(await attemptBoot(fork, ready, options)), origin: "forked" };
    } catch (error) {
      if (options.signal.aborted || !isStartFailure(error)) throw error;
      log.warning(`the VM is a clone, since it could not be forked: ${formatError(error)}`);
    }
  }
  const start = async (signal: AbortSignal) => ({ machine: await startMachine(spec, { ...options, signal }) });
  for (let attempt = clone === undefined ? BOOT_ATTEMPTS : 1; ; attempt--) {
    try {
      return { ...(await attemptBoot(start, ready, options)), origin: clone === undefined ? "booted" : "cloned" };
    } catch (error) {
      if (attempt === 1 || options.signal.aborted || !isStartFailure(error)) throw error;
    }
  }
}

/** A VM that has been started, and what else is to be done before it is used. */
interface Started {
  machine: Machine;
  settled?: Promise<void>;
}

async function startFork(spec: VmSpec, server: ForkServer, options: BootOptions): Promise<Started> {
  let machine: ForkedMachine;
  try {
    machine = forkMachine(spec, server, options);
  } catch (cause) {
    // What is no fault of the server's would keep a clone from starting, too.
    if (cause instanceof CaissonError) throw cause;
    throw new CaissonError("CAISSON_E_VM_START", systemErrorSentence("ask the fork server for a VM", cause), { cause });
  }
  return { machine, settled: machine.forked.then(() => options.cgroup?.adopt(machine)) };
}

async function attemptBoot<T>(
  start: (signal: AbortSignal) => Promise<Started>,
  ready: (machine: Machine, signal: AbortSignal) => Promise<T>,
  options: BootOptions,
): Promise<Omit<Booted<T>, "origin">> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), options.limitMs);
  const signal = AbortSignal.any([options.signal, limit.signal]);
  let machine: Machine | undefined;
  try {
    const started = await start(signal);
    machine = started.machine;
    const value = await orDeath(ready(machine, signal), machine.died, signal);
    await started.settled;
    return { machine, value };
  } catch (error) {
    const lines = machine?.lastConsoleLines() ?? [];
    await machine?.kill();
    if (limit.signal.aborted && !options.signal.aborted) throw startTimeoutError(options.limitMs, lines);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** What the work returns, unless the VM dies or the time is up first; a death is the better explanation of a failure. */
async function orDeath<T>(work: Promise<T>, died: Promise<ExitReason>, signal: AbortSignal): Promise<T> {
  let giveUp: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    giveUp = () => reject(signal.reason as Error);
    signal.addEventListener("abort", giveUp);
  });
  const death = died.then((facts): never => {
    throw startError(facts);
  });
  // The connection ends a moment before QEMU is known to be gone.
  const workOrDeath = work.catch(async (error: unknown) => {
    await deadline(death, DEATH_FOLLOWS_MS);
    throw error;
  });
  workOrDeath.catch(() => {});
  try {
    return await Promise.race([workOrDeath, death, aborted]);
  } finally {
    if (giveUp !== undefined) signal.removeEventListener("abort", giveUp);
    death.catch(() => {});
  }
}

function isStartFailure(error: unknown): boolean {
  return error instanceof CaissonError && error.code === "CAISSON_E_VM_START";
}
