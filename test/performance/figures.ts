import { type Bound, type Promised, promiseOf } from "./promises.ts";
import { type Summary, summarise } from "./statistics.ts";
import { THINGS, type Thing } from "./things.ts";

/** Whose figure it is: ours, a part of ours, or one to compare ours with. */
export type By = "caisson" | Part | Rival;
export type Part = "daemon" | "QEMU" | "virtiofsd";
export type Rival = "limit" | "node" | "runc" | "crun" | "bare";

/** What the others' names stand for, for people. */
export const TITLES: Readonly<Record<By, string>> = {
  caisson: "caisson",
  daemon: "its daemon",
  QEMU: "its QEMU",
  virtiofsd: "its virtiofsd",
  limit: "bare QEMU clone, to the agent's first byte (the limit)",
  node: "Node.js that does nothing",
  runc: "runc",
  crun: "crun",
  bare: "bare guest",
};
const RIVALS: readonly By[] = ["limit", "node", "runc", "crun", "bare"];

export interface Row extends Summary {
  thing: Thing;
  by: By;
  samples: readonly number[];
  /** This median by those of others who did the same. */
  ratios: { to: Rival; times: number }[];
  promises: (Bound & { kept: boolean })[];
}

/** Everything measured so far. */
export class Figures {
  readonly #samples = new Map<Thing, Map<By, number[]>>();

  /** @throws RangeError for a thing that THINGS does not have. */
  add(id: string, by: By, ...values: readonly number[]): void {
    const thing = THINGS.find((each) => each.id === id);
    if (thing === undefined) throw new RangeError(`No such thing to measure: ${id}`);
    const ofThing = this.#samples.get(thing) ?? new Map<By, number[]>();
    this.#samples.set(thing, ofThing.set(by, [...(ofThing.get(by) ?? []), ...values]));
  }

  /** Rows, one for each thing and whose it is, in the order of THINGS. */
  rows(promises: readonly Promised[]): Row[] {
    const limit = this.#median("run", "limit");
    return THINGS.flatMap((thing) => {
      const ofThing = this.#samples.get(thing) ?? new Map<By, number[]>();
      return [...ofThing].map(([by, samples]) => {
        const summary = summarise(samples);
        const ours = by === "caisson";
        return {
          thing,
          by,
          samples,
          ...summary,
          ratios: ours ? ratios(summary.median, ofThing) : [],
          promises: ours ? judge(thing, summary.median, promises, limit) : [],
        };
      });
    });
  }

  #median(id: string, by: By): number {
    const samples = [...this.#samples].find(([thing]) => thing.id === id)?.[1].get(by);
    return samples === undefined ? Number.NaN : summarise(samples).median;
  }
}

function ratios(median: number, all: ReadonlyMap<By, readonly number[]>): Row["ratios"] {
  return [...all]
    .filter((entry): entry is [Rival, readonly number[]] => RIVALS.includes(entry[0]))
    .map(([to, samples]) => ({ to, times: median / summarise(samples).median }));
}

function judge({ promise }: Thing, median: number, promises: readonly Promised[], limit: number): Row["promises"] {
  if (promise === undefined) return [];
  return promiseOf(promises, promise)
    .bounds(limit)
    .map((bound) => ({ ...bound, kept: median <= bound.value }));
}
