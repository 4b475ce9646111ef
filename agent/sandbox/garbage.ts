import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options?: { type: "minor" }) => void;

/** After so many collections nothing of the boot is left. */
const WHOLE_COLLECTIONS = 3;
let collections = 0;
let gc: Collect | undefined;

/**
 * Collects garbage, so that a clone of this guest has little to collect while it starts: at first all, then only what is
 * young. Collecting all of it takes the hidden classes along of which no object is left, and what inline caches know of
 * them: a clone would learn it again in V8's slow paths.
 */
export function collectGarbage(): void {
  gc ??= exposed();
  collections += 1;
  if (collections <= WHOLE_COLLECTIONS) {
    gc();
    return;
  }
  // What survives two of them is not young any more.
  gc({ type: "minor" });
  gc({ type: "minor" });
}

/** It shows in new contexts only. */
function exposed(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
}
