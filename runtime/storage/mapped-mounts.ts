/** Mounts whose ids containerd's snapshotters want mapped, by the options uidmap and gidmap: for pods with a user namespace. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, umount } from "../../native/posix/index.ts";
import { bind } from "./bind.ts";
import type { IdMap } from "./id-map.ts";

const OPTION = /^(uidmap|gidmap)=(\d+:\d+:\d+(?:,\d+:\d+:\d+)*)$/;

/** The map that options ask for, and the options without it. Undefined map: they ask for none. */
export function takeIdMap(options: readonly string[]): { idMap: IdMap | undefined; rest: string[] } {
  const maps: Record<string, string> = {};
  const rest = options.filter((option) => {
    const [, name, value] = OPTION.exec(option) ?? [];
    if (name === undefined || value === undefined) return true;
    maps[name] = value
      .split(",")
      .map((range) => `${range.replaceAll(":", " ")}\n`)
      .join("");
    return false;
  });
  const { uidmap: uids, gidmap: gids } = maps;
  // One of the two options alone is left for mount(2) to refuse.
  if (uids === undefined || gids === undefined) return { idMap: undefined, rest: [...options] };
  return { idMap: { uids, gids, recursive: false }, rest };
}

/**
 * Runs something synchronous with an overlay's options whose lower directories are shown by mapped mounts, which need not be there
 * any more once the overlay is. Only to be used in a private mount namespace.
 * @throws CaissonError as bind() does.
 */
export function withMappedLowers<T>(
  data: readonly string[],
  idMap: IdMap,
  field: string,
  run: (data: readonly string[]) => T,
): T {
  const folder = mkdtempSync(join(tmpdir(), "caisson-lower-"));
  const made: string[] = [];
  try {
    const mapped = data.map((option) => {
      if (!option.startsWith("lowerdir=")) return option;
      // A colon in a path is written "\:" (overlayfs.rst).
      const lowers = option.slice("lowerdir=".length).split(/(?<!\\):/);
      const shown = lowers.map((lower) => {
        const target = join(folder, String(made.length));
        mkdirSync(target);
        bind(lower.replaceAll(/\\(.)/g, "$1"), target, { recursive: false, readOnly: true, idMap, field });
        made.push(target);
        return target;
      });
      return `lowerdir=${shown.join(":")}`;
    });
    return run(mapped);
  } finally {
    for (const target of made) umount(target, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
    rmSync(folder, { recursive: true });
  }
}
