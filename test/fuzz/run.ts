/**
 * `make fuzz FUZZ_RUNS=1000000 FUZZ_SEED=1 FUZZ_FRAMES=1000000 FUZZ_RINGS=1000000`: that many configurations, ttrpc connections
 * until they have carried that many frames, and virtio rings for native/vhost-proxy, from that seed on.
 */
import { fuzzConfig, type Outcome } from "./config.ts";
import { fuzzFrames } from "./frames.ts";
import { fuzzRings } from "./rings.ts";

const runs = Number(process.env["FUZZ_RUNS"] ?? 100_000);
const frames = Number(process.env["FUZZ_FRAMES"] ?? (runs === 1 ? 1 : 1_000_000));
// Most errors here are expected, and taking their stacks takes longer than all else.
if (runs > 1) Error.stackTraceLimit = 0;
const rings = Number(process.env["FUZZ_RINGS"] ?? (runs === 1 ? 1 : 1_000_000));
const first = Number(process.env["FUZZ_SEED"] ?? 1);
/** A megabyte a connection, and what the collector has not come to. */
const MOST_MEMORY = 512 * 1024 * 1024;

const secondsSince = (start: number) => ((performance.now() - start) / 1000).toFixed(1);

function fuzzConfigs(): string {
  const counts: Record<Outcome, number> = { accepted: 0, refused: 0, "no JSON": 0 };
  for (let seed = first; seed < first + runs; seed++) counts[fuzzConfig(seed)] += 1;
  return `configurations ${first} to ${first + runs - 1}: ${counts.accepted} accepted, ${counts.refused} refused, ${counts["no JSON"]} no JSON`;
}

async function fuzzConnections(): Promise<string> {
  let sent = 0;
  let seed = first;
  let peak = 0;
  for (; sent < frames; seed++) {
    sent += await fuzzFrames(seed);
    if (seed % 100 === 0) peak = Math.max(peak, process.memoryUsage.rss());
    if (peak > MOST_MEMORY) throw new Error(`the process holds ${peak} bytes after seed ${seed}`);
  }
  return `ttrpc connections ${first} to ${seed - 1}: ${sent} frames, ${Math.round(peak / 2 ** 20)} MiB at most`;
}

let start = performance.now();
if (runs > 0) console.log(`fuzz: ${fuzzConfigs()}, in ${secondsSince(start)} s`);
start = performance.now();
if (frames > 0) console.log(`fuzz: ${await fuzzConnections()}, in ${secondsSince(start)} s`);
start = performance.now();
if (rings > 0) console.log(`fuzz: ${fuzzRings(first, rings)}, in ${secondsSince(start)} s`);
