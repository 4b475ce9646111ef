import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * A fact about the host that is costly to find out, kept in a file as `{key, value}`: read back only while the key, which
 * names all it depends on, is the same. The file is a cache: unreadable means unknown, unwritable means found out again.
 */
export function recall<T>(path: string, key: string, parse: (value: unknown) => T | undefined): T | undefined {
  try {
    const kept = JSON.parse(readFileSync(path, "utf8")) as { key?: unknown; value?: unknown } | null;
    return kept?.key === key ? parse(kept.value) : undefined;
  } catch {
    return undefined;
  }
}

/** Atomic, so that a reader sees one whole fact or another. */
export function remember(path: string, key: string, value: unknown): void {
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
