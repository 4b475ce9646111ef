import { setTimeout as sleep } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import { type MachineDeath, startError, startTimeoutError } from "./death.ts";
import { type Machine, type StartOptions, startMachine } from "./machine.ts";
import type { VmSpec } from "./spec.ts";
import { type MachineHandles, takeOver } from "./standby.ts";

export interface BootOptions extends StartOptions {
  /** How long one attempt may take until `ready` has returned. */
  limitMs: number;
  /** Goes on with this VM in place of starting one; it is ended when that fails. */
  standby?: MachineHandles | undefined;
}

export interface Booted<T> {
  machine: Machine;
  value: T;
}

const DEATH_FOLLOWS_MS = 250;
/**
 * A boot is tried twice: under emulation on a busy host one may hang. A clone that fails once would fail again, and a VM
 * that stood by is gone.
 */
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
  const { clone, standby } = options;
  for (let attempt = clone === undefined && standby === undefined ? BOOT_ATTEMPTS : 1; ; attempt--) {
    try {
      return await attemptBoot(spec, ready, options);
    } catch (error) {
      if (attempt === 1 || options.signal.aborted || !isStartFailure(error)) throw error;
    }
  }
}

async function attemptBoot<T>(
  spec: VmSpec,
  ready: (machine: Machine, signal: AbortSignal) => Promise<T>,
  options: BootOptions,
): Promise<Booted<T>> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), options.limitMs);
  const signal = AbortSignal.any([options.signal, limit.signal]);
  let machine: Machine | undefined;
  try {
    const { standby } = options;
    machine = await (standby === undefined
      ? startMachine(spec, { ...options, signal })
      : takeOver(spec, standby, signal));
    const value = await orDeath(ready(machine, signal), machine.died, signal);
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
async function orDeath<T>(work: Promise<T>, died: Promise<MachineDeath>, signal: AbortSignal): Promise<T> {
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
    await Promise.race([death, sleep(DEATH_FOLLOWS_MS, undefined, { ref: false })]);
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
