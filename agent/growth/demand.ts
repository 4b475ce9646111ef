import type { Cgroup } from "../cgroups/cgroup.ts";
import { flatKeyed } from "../cgroups/stats.ts";
import { log } from "../log.ts";
import { type MemoryNow, readMeminfo } from "./meminfo.ts";
import type { MemorySteps } from "./memory-steps.ts";
import { highs, type Usage, wanted } from "./thresholds.ts";

const MIB = 1024 * 1024;
/** A container whose cache is at its mark is told of many times a second: it is looked at no more often than this. */
const PAUSE_MS = 200;
const HIGH = "memory.high";
const NONE = "max";

/**
 * Has the guest take memory as its containers need it. Those without a limit have a mark, memory.high: at it the kernel slows them down and tells
 * so (cgroup-v2.rst), while the guest takes more and moves the mark. Without that the kernel would kill: no event comes before it is out of memory.
 */
export class MemoryDemand {
  readonly #steps: MemorySteps;
  readonly #read: () => MemoryNow;
  /** How often each has been at its mark. */
  readonly #followed = new Map<Cgroup, bigint>();
  #timer: NodeJS.Timeout | undefined;
  #again = false;

  constructor(steps: MemorySteps, read = readMeminfo) {
    this.#steps = steps;
    this.#read = read;
  }

  /** Follows a container whose limits have been set, unless it has one for its memory, or a mark of its own. */
  follow(cgroup: Cgroup): void {
    const isMarked = this.#followed.has(cgroup);
    const isLimited = cgroup.read("memory.max") !== NONE;
    if (isLimited && isMarked) this.#release(cgroup);
    if (isLimited || isMarked || this.#steps.left === 0 || cgroup.read(HIGH) !== NONE) return;
    this.#followed.set(cgroup, 0n);
    this.#mark();
  }

  /** The container is being removed. */
  forget(cgroup: Cgroup): void {
    this.#followed.delete(cgroup);
  }

  /** Its memory.events has changed. */
  look(cgroup: Cgroup): void {
    const known = this.#followed.get(cgroup);
    if (known === undefined) return;
    const now = flatKeyed(cgroup.read("memory.events") ?? "")["high"] ?? 0n;
    if (now <= known) return;
    this.#followed.set(cgroup, now);
    if (this.#timer !== undefined) this.#again = true;
    else void this.#meet();
  }

  /** Moves the marks, since the guest has more memory or fewer containers. */
  async #meet(): Promise<void> {
    this.#again = false;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#again) void this.#meet();
    }, PAUSE_MS).unref();
    try {
      const bytes = wanted(this.#read());
      if (bytes > 0) await this.#grow(bytes);
      this.#mark();
    } catch (error) {
      log("warning", `the guest's memory does not grow: ${(error as Error).message}`);
      for (const cgroup of [...this.#followed.keys()]) this.#release(cgroup);
    }
  }

  async #grow(bytes: number): Promise<void> {
    const count = this.#steps.countFor(bytes / MIB);
    if (count === 0) return;
    await this.#steps.take(this.#steps.taken + count);
    log("info", `the guest has taken more memory: it has ${Math.round(this.#read().total / MIB)} MiB`);
  }

  /** Once there is no more to be had, who uses how much is the kernel's affair. */
  #mark(): void {
    if (this.#steps.left === 0) {
      for (const cgroup of [...this.#followed.keys()]) this.#release(cgroup);
      return;
    }
    const cgroups = [...this.#followed.keys()];
    const marks = highs(this.#read(), cgroups.map(usageOf));
    for (const [index, cgroup] of cgroups.entries()) this.#set(cgroup, String(marks[index]));
  }

  #release(cgroup: Cgroup): void {
    this.#followed.delete(cgroup);
    this.#set(cgroup, NONE);
  }

  /** One that is gone has no mark. */
  #set(cgroup: Cgroup, value: string): void {
    try {
      cgroup.write(HIGH, value);
    } catch (error) {
      this.#followed.delete(cgroup);
      log("debug", `${cgroup.path} has no mark: ${(error as Error).message}`);
    }
  }
}

function usageOf(cgroup: Cgroup): Usage {
  const stat = flatKeyed(cgroup.read("memory.stat") ?? "");
  const reclaimable = ["inactive_file", "active_file", "slab_reclaimable"].map((key) => Number(stat[key] ?? 0n));
  return {
    current: Number(cgroup.read("memory.current") ?? 0),
    reclaimable: reclaimable.reduce((sum, bytes) => sum + bytes, 0),
  };
}
