import { setTimeout as delay } from "node:timers/promises";
import { realtime } from "../../native/posix/index.ts";
import { log } from "../text/log.ts";
import type { Agent } from "./agent/client.ts";
import { GuestClock } from "./clock.ts";

/** After a start, when what the guest does for it is over: short containers have ended by then. */
const FIRST_MS = 2000;
/** Clocks of emulated guests run apart by some milliseconds in that time. */
const EVERY_MS = 10 * 60 * 1000;
/** The exchanges of one synchronisation, the best messages of which count. */
const EXCHANGES = 6;
const GAP_MS = 50;
const CALL_LIMIT_MS = 5000;
/** What is not worth a change, nanoseconds. */
const TOLERANCE_NS = 200_000n;

/** Keeps a guest's clock at this host's, by slewing it. */
export class ClockSync {
  readonly #agent: Agent;
  readonly #stop = new AbortController();

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  /** Resolves when end() has been called, or the guest answers no more. */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    try {
      await delay(FIRST_MS, undefined, { signal, ref: false });
      for (;;) {
        await this.#once();
        await delay(EVERY_MS, undefined, { signal, ref: false });
      }
    } catch (error) {
      if (!signal.aborted) log.debug(`the guest's clock is left alone: ${(error as Error).message}`);
    }
  }

  end(): void {
    this.#stop.abort();
  }

  async #once(): Promise<void> {
    const clock = new GuestClock();
    for (let exchange = 0; exchange < EXCHANGES; exchange++) {
      if (exchange > 0) await delay(GAP_MS, undefined, { signal: this.#stop.signal, ref: false });
      const sentNs = realtime();
      const { receivedNs, answeredNs } = await this.#call(0n);
      clock.sent(sentNs, receivedNs);
      clock.answered(answeredNs, realtime());
    }
    const { aheadNs } = clock;
    log.debug(`the guest's clock is ${aheadNs / 1000n} us ahead`);
    if (aheadNs > TOLERANCE_NS || aheadNs < -TOLERANCE_NS) await this.#call(-aheadNs);
  }

  #call(slewNs: bigint): Promise<{ receivedNs: bigint; answeredNs: bigint }> {
    return this.#agent.call("adjustClock", { slewNs }, { timeoutMs: CALL_LIMIT_MS, signal: this.#stop.signal });
  }
}
