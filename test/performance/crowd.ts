import { availableParallelism, freemem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { qemusOf, virtiofsdsOf } from "../harness/qemu.ts";
import type { Engine } from "./engine.ts";
import type { Figures } from "./figures.ts";
import { parentOf, processorSeconds, pss } from "./process.ts";
import { CROWDS, SCRAPED_CROWD } from "./things.ts";

/** What a crowd may use in all. */
const ROOM_MIB = 16 * 1024;
/** What the host keeps for itself. */
const RESERVE_MIB = 1024;
/** Between the last start and a look at memory: what a start leaves behind has been given back (runtime/process/free-memory.ts). */
const SETTLE_MS = 7000;
const IDLE_CROWD = 10;
const IDLE_MS = 10_000;
const SCRAPES = 5;
const MIB = 1024 * 1024;

interface Member {
  id: string;
  daemon: number;
  qemu: number;
  /** virtiofsd and its child. */
  files: readonly number[];
}

/**
 * Sandboxes that only sleep, more and more of them: what they use, and how many fit. Each size is measured once, of every
 * member; the runs are the members.
 */
export class Crowd {
  readonly #engine: Engine;
  readonly #bundle: string;
  readonly #figures: Figures;
  readonly #signal: AbortSignal;
  readonly #members: Member[] = [];
  #starting = 0;
  /** MiB that the host had to spare before the first. */
  #atFirst: number | undefined;

  constructor(engine: Engine, bundle: string, figures: Figures, signal: AbortSignal) {
    this.#engine = engine;
    this.#bundle = bundle;
    this.#figures = figures;
    this.#signal = signal;
  }

  /** Grows the crowd to the sizes of CROWDS or to what fits, and then deletes it. */
  async measure(progress: (text: string) => void): Promise<void> {
    for (const size of CROWDS) {
      await this.#grow(size);
      progress(`${this.#members.length} sandboxes run`);
      if (this.#members.length < size) break;
      await sleep(SETTLE_MS, undefined, { signal: this.#signal });
      this.#weigh(`pss-${size}`);
      if (size === IDLE_CROWD) await this.#watch();
      if (size === SCRAPED_CROWD) await this.#scrape();
    }
    this.#figures.add("crowd", "caisson", this.#members.length);
    this.#figures.add("gathering", "caisson", this.#starting);
    for (const { id } of this.#members) await this.#engine.remove(id);
  }

  /** Starts as many at a time as there are processors. */
  async #grow(size: number): Promise<void> {
    const start = performance.now();
    while (this.#members.length < size) {
      const count = Math.min(availableParallelism(), size - this.#members.length);
      if (!this.#hasRoom(count)) break;
      const started = await Promise.allSettled(Array.from({ length: count }, () => this.#engine.start(this.#bundle)));
      for (const each of started) {
        if (each.status === "rejected") throw each.reason;
        const { id, pid } = each.value;
        this.#members.push({ id, daemon: pid, qemu: qemusOf(pid)[0] as number, files: virtiofsdsOf(pid) });
      }
    }
    this.#starting += (performance.now() - start) / 1000;
  }

  /** By the memory that the host has less since the first: what the kernel needs for them counts, too. */
  #hasRoom(count: number): boolean {
    const available = freemem() / MIB;
    this.#atFirst ??= available;
    const each = this.#members.length === 0 ? 0 : (this.#atFirst - available) / this.#members.length;
    return each * (this.#members.length + count) <= ROOM_MIB && available - each * count >= RESERVE_MIB;
  }

  #weigh(thing: string): void {
    // Each bears its part of what they were forked from.
    const server = this.#members.map(forkServerOf).find((pid) => pid !== undefined);
    const part = server === undefined ? 0 : pss(server) / this.#members.length;
    const weights = this.#members.map(({ daemon, qemu, files }) => ({
      daemon: pss(daemon),
      qemu: pss(qemu) + part,
      files: sum(files.map(pss)),
    }));
    this.#figures.add(thing, "caisson", ...weights.map(({ daemon, qemu, files }) => daemon + qemu + files));
    this.#figures.add(thing, "virtiofsd", ...weights.map(({ files }) => files));
    this.#figures.add(thing, "daemon", ...weights.map(({ daemon }) => daemon));
    this.#figures.add(thing, "QEMU", ...weights.map(({ qemu }) => qemu));
  }

  async #scrape(): Promise<void> {
    for (let run = 0; run < SCRAPES; run++) {
      this.#figures.add("scrape", "caisson", await this.#engine.command("metrics"));
    }
  }

  async #watch(): Promise<void> {
    const used = () =>
      this.#members.map(({ daemon, qemu, files }) => [
        processorSeconds(daemon),
        processorSeconds(qemu),
        sum(files.map(processorSeconds)),
      ]);
    const before = used();
    const start = performance.now();
    await sleep(IDLE_MS, undefined, { signal: this.#signal });
    const seconds = (performance.now() - start) / 1000;
    const percent = used().map((now, index) =>
      now.map((each, part) => share(each - (before[index]?.[part] ?? 0), seconds)),
    );
    this.#figures.add("idle", "caisson", ...percent.map(sum));
    this.#figures.add("idle", "daemon", ...percent.map(([daemon = 0]) => daemon));
    this.#figures.add("idle", "QEMU", ...percent.map(([, qemu = 0]) => qemu));
  }
}

/** A QEMU that was not forked is its daemon's child. */
function forkServerOf({ daemon, qemu }: Member): number | undefined {
  const parent = parentOf(qemu);
  return parent === daemon ? undefined : parent;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function share(used: number, seconds: number): number {
  return (used / seconds) * 100;
}
