import { watchPhases } from "../process/trace.ts";
import { emptyHistogram, type HistogramValue, observe } from "./histogram.ts";
import { changeTotals, isMonitored, type Origin, PHASES } from "./totals.ts";

/** How long after a VM is ready what its start has taken is written down: nobody waits for the sandbox any more. */
const DELAY_MS = 500;

/** Counts the start that this process is about to make, if somebody monitors the host. */
export function countStart(): void {
  if (isMonitored()) new StartPhases();
}

let current: StartPhases | undefined;

/** Says where the VM came from; without it the start is not counted. */
export function startedBy(origin: Origin): void {
  current?.from(origin);
}

class StartPhases {
  readonly #seen: [phase: string, seconds: number][] = [];
  readonly #unwatch: () => void;
  #origin: Origin | undefined;

  constructor() {
    current = this;
    this.#unwatch = watchPhases((name, start, end) => {
      const phase = PHASES[name];
      if (phase !== undefined) this.#seen.push([phase, (end - start) / 1000]);
    });
  }

  from(origin: Origin): void {
    this.#origin = origin;
    const write = () => this.#write();
    setTimeout(write, DELAY_MS).unref();
    process.once("exit", write);
  }

  #write(): void {
    if (current !== this) return;
    current = undefined;
    this.#unwatch();
    changeTotals(({ starts, phases }) => {
      if (this.#origin !== undefined) starts[this.#origin] = (starts[this.#origin] ?? 0) + 1;
      for (const [phase, seconds] of this.#seen) observe(histogramOf(phases, phase), seconds);
    });
  }
}

function histogramOf(phases: Record<string, HistogramValue>, phase: string): HistogramValue {
  const histogram = phases[phase] ?? emptyHistogram();
  phases[phase] = histogram;
  return histogram;
}
