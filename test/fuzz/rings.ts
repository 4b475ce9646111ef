import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** Feeds mutated virtio rings to native/vhost-proxy, under the sanitizers; built by `make native-tests`. */
const PROGRAM = join(import.meta.dirname, "../../out/native/test/vhost-proxy-fuzz");

/**
 * What became of `count` rings from the seed `first` on, in a line. With `race` another thread changes them meanwhile, which
 * no seed repeats.
 * @throws Error with what the sanitizers, or the checks of RAM after each completion, have found
 */
export function fuzzRings(first: number, count: number, race = false): string {
  const { status, signal, stdout, stderr, error } = spawnSync(
    PROGRAM,
    [String(first), String(count), ...(race ? ["race"] : [])],
    { encoding: "utf8" },
  );
  if (status === 0) return stdout.trim();
  throw new Error(`vhost-proxy-fuzz ends with ${signal ?? status}: ${error?.message ?? stderr}`);
}
