/** The statistics of repeated measurements of one thing, in its unit. */
export interface Summary {
  minimum: number;
  median: number;
  maximum: number;
  /** How many there were. */
  runs: number;
}

/** @throws RangeError when there is nothing to summarise. */
export function summarise(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const [minimum] = sorted;
  const maximum = sorted.at(-1);
  if (minimum === undefined || maximum === undefined) throw new RangeError("There are no measurements to summarise.");
  return { minimum, median: median(sorted), maximum, runs: sorted.length };
}

function median(sorted: readonly number[]): number {
  const upper = sorted[sorted.length >> 1] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] as number) + upper) / 2;
}
