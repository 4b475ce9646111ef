import { invalid } from "./unsupported.ts";

/** Where a program is looked for when the environment has no PATH. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface Environment {
  entries: string[];
  /** The list of folders that a program is looked for in. */
  path: string;
  hasHome: boolean;
}

/**
 * `process.env`, of several entries with one name the last: getenv(3) would find the first. HOME that is empty counts as
 * missing, as for runc.
 * Throws CAISSON_E_CONFIG_INVALID for an entry without a name or a value.
 */
export function parseEnvironment(env: readonly string[]): Environment {
  const byName = new Map<string, string>();
  env.forEach((entry, index) => {
    const end = entry.indexOf("=");
    if (end <= 0) throw invalid(`process.env[${index}]`, `must be NAME=value, not ${JSON.stringify(entry)}.`);
    byName.set(entry.slice(0, end), entry);
  });
  if (byName.get("HOME") === "HOME=") byName.delete("HOME");
  const path = byName.get("PATH")?.slice("PATH=".length);
  return {
    entries: [...byName.values()],
    path: path ?? DEFAULT_PATH,
    hasHome: byName.has("HOME"),
  };
}
