import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Whether the bundle's process wants a terminal, which decides how the daemon is started. A bundle that cannot be read
 * wants none: the daemon reads it again, and says what is wrong with it.
 */
export function readWantsTerminal(bundle: string): boolean {
  try {
    const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as {
      process?: { terminal?: unknown };
    };
    return config.process?.terminal === true;
  } catch {
    return false;
  }
}
