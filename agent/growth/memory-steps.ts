import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import type { MemoryGrowth } from "../../protocol/generated/agent.ts";
import { MEMORY_STEPS, sizeOfSteps, stepName } from "../../protocol/guest-memory.ts";

const MIB = 1024 * 1024;
/** The kernel adds a step in a work queue of its own. */
const LIMIT_MS = 10_000;
const POLL_MS = 5;
const ALONE_MS = 1000;

/** Where the kernel shows devices and memory; tests have folders of their own. */
export interface MemoryPaths {
  devices: string;
  blocks: string;
  overcommit: string;
}

const KERNEL: MemoryPaths = {
  devices: "/sys/bus/acpi/devices",
  blocks: "/sys/devices/system/memory",
  overcommit: "/proc/sys/vm/overcommit_memory",
};

/** The steps by which this guest's memory can grow, and those that it has taken. */
export class MemorySteps {
  readonly #paths: MemoryPaths;
  #allowed: MemoryGrowth = { firstStep: 0, steps: 0 };
  #taken = 0;
  #blockMib = 0;
  #taking = Promise.resolve();

  constructor(paths = KERNEL) {
    this.#paths = paths;
  }

  /** Lets the guest take these. What it has taken stays taken. @throws Error when the kernel cannot be told. */
  allow(growth: MemoryGrowth): void {
    this.#allowed = growth;
    // The kernel refuses what is more than there is, which here says nothing of what there can be (Documentation/mm/overcommit-accounting.rst).
    if (growth.steps > 0) writeFileSync(this.#paths.overcommit, "1");
  }

  /** How many it has taken. */
  get taken(): number {
    return this.#taken;
  }

  /** How many it may still take. */
  get left(): number {
    return Math.max(0, this.#allowed.steps - this.#taken);
  }

  /** How many more bring at least that much, at most those that are left. */
  countFor(mib: number): number {
    const next = this.#allowed.firstStep + this.#taken;
    let count = 0;
    while (count < this.left && sizeOfSteps(next, count) < mib) count++;
    return count;
  }

  /**
   * Takes steps until it has that many, or all that it may; resolves when their memory is in use.
   * @throws CaissonError CAISSON_E_HOST when the guest's kernel does not take one; those before it stay.
   */
  take(count: number): Promise<void> {
    const taken = this.#taking.catch(() => {}).then(() => this.#takeUpTo(Math.min(count, this.#allowed.steps)));
    this.#taking = taken;
    return taken;
  }

  async #takeUpTo(count: number): Promise<void> {
    while (this.#taken < count) {
      await this.#takeOne(this.#allowed.firstStep + this.#taken);
      this.#taken += 1;
    }
  }

  async #takeOne(index: number): Promise<void> {
    const step = MEMORY_STEPS[index];
    if (step === undefined) throw notTaken(index, "there is no such step");
    const device = `${this.#paths.devices}/PNP0C80:${index.toString(16).padStart(2, "0")}`;
    try {
      const path = readFileSync(`${device}/path`, "latin1").trim();
      if (!path.endsWith(`.${stepName(index)}`)) throw new Error(`the device is ${JSON.stringify(path)}`);
      // Its method makes the device be there, and tells the kernel so (guest-image/memory-table.ts).
      readFileSync(`${device}/sun`);
      await this.#online((step.startMib + step.sizeMib) / this.#blocksMib() - 1);
    } catch (cause) {
      throw notTaken(index, (cause as Error).message, cause);
    }
  }

  async #online(block: number): Promise<void> {
    const file = `${this.#paths.blocks}/memory${block}/state`;
    for (let waitedMs = 0; ; waitedMs += POLL_MS) {
      const state = readState(file);
      if (state === "online") return;
      // The kernel puts it online by itself, unless it was built otherwise.
      if (state === "offline" && waitedMs >= ALONE_MS) putOnline(file);
      if (waitedMs >= LIMIT_MS) throw new Error(`the kernel has not taken it within ${LIMIT_MS / 1000} s`);
      await sleep(POLL_MS);
    }
  }

  #blocksMib(): number {
    this.#blockMib ||= Number.parseInt(readFileSync(`${this.#paths.blocks}/block_size_bytes`, "latin1"), 16) / MIB;
    return this.#blockMib;
  }
}

/** Done as well when the kernel was quicker, which it then says is no valid request. */
function putOnline(file: string): void {
  try {
    writeFileSync(file, "online");
  } catch (error) {
    if (readState(file) === "offline") throw error;
  }
}

function readState(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function notTaken(index: number, why: string, cause?: unknown): CaissonError {
  return new CaissonError("CAISSON_E_HOST", `the guest cannot take memory step ${index}: ${why}`, { cause });
}
