import { setTimeout as sleep } from "node:timers/promises";
import { readTsc } from "../../native/posix/index.ts";
import { bootId, factFile, recall, remember } from "./host-cache.ts";

const WINDOW_MS = 100;
const READINGS = 16;

/**
 * The rate of the host's time stamp counter in kHz, which is what an emulated guest reads: measured against
 * CLOCK_MONOTONIC once a boot, then kept in `directory`.
 */
export async function tscKhz(directory: string | undefined): Promise<number> {
  const path = factFile(directory, "tsc.json");
  const key = bootId();
  const known = recall(path, key, (value) => (typeof value === "number" && value > 0 ? value : undefined));
  if (known !== undefined) return known;
  const start = readBoth();
  await sleep(WINDOW_MS);
  const end = readBoth();
  const khz = Math.round((Number(end.tsc - start.tsc) * 1e6) / Number(end.ns - start.ns));
  remember(path, key, khz);
  return khz;
}

/** The two clocks at one moment: of several readings, the one in which least time passed between them. */
function readBoth(): { tsc: bigint; ns: bigint } {
  let best = { tsc: 0n, ns: 0n };
  let least: bigint | undefined;
  for (let reading = 0; reading < READINGS; reading++) {
    const before = process.hrtime.bigint();
    const tsc = readTsc();
    const after = process.hrtime.bigint();
    if (least !== undefined && after - before >= least) continue;
    least = after - before;
    best = { tsc, ns: before + least / 2n };
  }
  return best;
}
