import { rmSync } from "node:fs";

/**
 * Removes what was being made when an error came, or leaves it where it cannot be removed. Never throws: the error that came is the one
 * to tell, and where a path cannot be reached there is nothing to remove.
 */
export function discardUnfinished(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {}
}
