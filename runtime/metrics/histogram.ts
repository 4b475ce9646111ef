/** What a histogram holds, as it crosses the control socket: how many observations were in each bucket, the last one's being without bound. */
export interface HistogramValue {
  buckets: number[];
  /** The sum of all observations, seconds. */
  sum: number;
}

/** Upper bounds of the buckets, seconds: from an agent's call under KVM to a boot without it. */
export const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** A histogram without observations. */
export function emptyHistogram(): HistogramValue {
  return { buckets: new Array(BOUNDS.length + 1).fill(0), sum: 0 };
}

/** Counts one observation. */
export function observe(histogram: HistogramValue, seconds: number): void {
  const found = BOUNDS.findIndex((bound) => seconds <= bound);
  const index = found < 0 ? BOUNDS.length : found;
  histogram.buckets[index] = (histogram.buckets[index] ?? 0) + 1;
  histogram.sum += seconds;
}

/** Whether a value read from elsewhere is a histogram with these bounds. */
export function isHistogram(value: unknown): value is HistogramValue {
  const { buckets, sum } = (value ?? {}) as Partial<Record<keyof HistogramValue, unknown>>;
  return (
    Array.isArray(buckets) &&
    buckets.length === BOUNDS.length + 1 &&
    buckets.every((count) => Number.isSafeInteger(count) && count >= 0) &&
    typeof sum === "number" &&
    sum >= 0
  );
}
