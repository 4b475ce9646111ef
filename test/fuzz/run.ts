/** `make fuzz FUZZ_RUNS=1000000 FUZZ_SEED=1`: that many configurations, from that seed on. */
import { fuzzConfig, type Outcome } from "./config.ts";

const runs = Number(process.env["FUZZ_RUNS"] ?? 100_000);
// Most errors here are expected, and taking their stacks takes longer than all else.
if (runs > 1) Error.stackTraceLimit = 0;
const first = Number(process.env["FUZZ_SEED"] ?? 1);
const counts: Record<Outcome, number> = { accepted: 0, refused: 0, "no JSON": 0 };
const start = performance.now();
for (let seed = first; seed < first + runs; seed++) counts[fuzzConfig(seed)] += 1;
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(
  `fuzz: seeds ${first} to ${first + runs - 1} in ${seconds} s: ${counts.accepted} accepted, ${counts.refused} refused, ` +
    `${counts["no JSON"]} no JSON`,
);
