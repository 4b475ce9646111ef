import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readBounded, SMALL_FILE } from "../text/bounded-read.ts";

/** Where a fact is kept in a directory of facts; nowhere where there is no such directory. */
export function factFile(directory: string | undefined, name: string): string | undefined {
  return directory === undefined ? undefined : join(directory, name);
}

/**
 * A fact about the host that is costly to find out, kept in a file as `{key, value}`: read back only while the key, which
 * names all it depends on, is the same. The file is a cache: unreadable means unknown, unwritable means found out again.
 */
export function recall<T>(
  path: string | undefined,
  key: string,
  parse: (value: unknown) => T | undefined,
): T | undefined {
  if (path === undefined) return undefined;
  try {
    const kept = JSON.parse(readBounded(path, SMALL_FILE).toString()) as { key?: unknown; value?: unknown } | null;
    return kept?.key === key ? parse(kept.value) : undefined;
  } catch {
    return undefined;
  }
}

/** Atomic, so that a reader sees one whole fact or another. */
export function remember(path: string | undefined, key: string, value: unknown): void {
  if (path === undefined) return;
  const partial = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(partial, JSON.stringify({ key, value }), { mode: 0o600 });
    renameSync(partial, path);
  } catch {
    // The next start finds it out again.
  }
}

/** Identifies this boot of the host; facts about its hardware hold no longer. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
