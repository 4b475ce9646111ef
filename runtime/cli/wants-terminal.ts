import { join } from "node:path";
import { LARGEST_DOCUMENT_BYTES } from "../oci/document.ts";
import { readBounded } from "../text/bounded-read.ts";

/**
 * Whether the bundle's process wants a terminal, which decides how the daemon is started. A bundle that cannot be read
 * wants none: the daemon reads it again, and says what is wrong with it.
 */
export function readWantsTerminal(bundle: string): boolean {
  try {
    const config = JSON.parse(
      readBounded(join(bundle, "config.json"), { bytes: LARGEST_DOCUMENT_BYTES }).toString(),
    ) as {
      process?: { terminal?: unknown };
    };
    return config.process?.terminal === true;
  } catch {
    return false;
  }
}
