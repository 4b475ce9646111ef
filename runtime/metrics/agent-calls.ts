import { emptyHistogram, type HistogramValue, observe } from "./histogram.ts";

export interface CallValue extends HistogramValue {
  failures: number;
}

/** How long an agent took to answer each of its calls, by their names in agent.proto. */
export class AgentCalls {
  readonly #calls = new Map<string, CallValue>();

  /** Counts one call that was answered, or failed. */
  add(name: string, seconds: number, failed: boolean): void {
    let call = this.#calls.get(name);
    if (call === undefined) {
      call = { ...emptyHistogram(), failures: 0 };
      this.#calls.set(name, call);
    }
    observe(call, seconds);
    if (failed) call.failures += 1;
  }

  get values(): Record<string, CallValue> {
    return Object.fromEntries(this.#calls);
  }
}
