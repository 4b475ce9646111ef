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
    return readFileSync(file, "latin1").split("\n").includes(line);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENODEV") return true;
    throw error;
  }
}

/** How often the OOM killer killed in the cgroup, from the text of its memory.events. */
export function oomKills(memoryEvents: string | undefined): number {
  return Number(/^oom_kill (\d+)$/m.exec(memoryEvents ?? "")?.[1] ?? 0);
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
