import { type FSWatcher, readFileSync, watch } from "node:fs";

/**
 * Answers when a cgroup's event file (cgroup.events) holds the line; at once if it does already, or if the file is gone,
 * since a removed cgroup has no processes. The kernel announces every change of such a file through inotify
 * (cgroup-v2.rst, "Populated Notification").
 */
export function waitForLine(file: string, line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (holdsLine(file, line)) return resolve();
    const watcher = watchFile(file, () => check());
    const check = (): void => {
      try {
        if (!holdsLine(file, line)) return;
        resolve();
      } catch (error) {
        reject(error);
      }
      watcher?.close();
    };
    // The change may have come between the first look and the watch.
    check();
  });
}

function holdsLine(file: string, line: string): boolean {
  try {
    return readFileSync(file, "utf8").split("\n").includes(line);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENODEV") return true;
    throw error;
  }
}

/** What the OOM killer did in a cgroup. */
export interface OomKills {
  count: number;
  /** Whether the kernel killed without the cgroup's own limit, or one below it, having been hit: the guest's memory was exhausted. */
  ofGuest: boolean;
}

/** Reads it from the text of the cgroup's memory.events (cgroup-v2.rst): "oom" counts what its limits alone bring about. */
export function oomKills(memoryEvents = ""): OomKills {
  const count = (key: string) => Number(new RegExp(`^${key} (\\d+)$`, "m").exec(memoryEvents)?.[1] ?? 0);
  const kills = count("oom_kill");
  return { count: kills, ofGuest: kills > 0 && count("oom") === 0 };
}

/** Calls back whenever the file's content may have changed; undefined when there is no such file. */
export function watchFile(file: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(file, { persistent: false }, changed);
    // A removed file ends its watch; that is how a container's end looks from here.
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
