import { setTimeout as delay } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import { type ControlClient, connectControl } from "../control/client.ts";
import type { Measurement } from "../metrics/measurement.ts";

/** How long one sandbox may take to answer, its guest included. */
export const SANDBOX_LIMIT_MS = 2500;

/**
 * Asks a sandbox's daemon to measure.
 * @throws CaissonError CAISSON_E_TIMEOUT, CAISSON_E_VM_DIED when nobody answers, or as the daemon reports it.
 */
export async function askToMeasure(stateDirectory: string, limitMs = SANDBOX_LIMIT_MS): Promise<Measurement> {
  let client: ControlClient | undefined;
  const limit = new AbortController();
  const late = delay(limitMs, undefined, { signal: limit.signal }).then(() => {
    throw new CaissonError("CAISSON_E_TIMEOUT", `the sandbox daemon did not answer within ${limitMs} ms`);
  });
  try {
    const asking = connectControl(stateDirectory).then((connected) => {
      if (limit.signal.aborted) {
        connected.close();
        return undefined;
      }
      client = connected;
      return connected.request("measure", {});
    });
    const measurement = await Promise.race([asking, late]);
    if (measurement === undefined) throw new CaissonError("CAISSON_E_TIMEOUT", "the sandbox daemon was too late");
    return measurement;
  } finally {
    limit.abort();
    late.catch(() => {});
    client?.close();
  }
}
