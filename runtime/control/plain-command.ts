/** The command line as engines write it, taken apart without loading what knows all of it (cli/program.ts). */
import { resolve } from "node:path";
import type { DaemonLog } from "./daemon-log.ts";

export const DEFAULT_ROOT = "/run/caisson";

/** The flags before the verb. */
export interface GlobalSettings extends DaemonLog {
  /** Directory of the containers' states, absolute. */
  root: string;
  /** Settings file, absolute; the default one when undefined. */
  config: string | undefined;
  /** Cgroups are systemd's. */
  systemdCgroup: boolean;
}

export interface PlainCommand {
  globals: GlobalSettings;
  verb: string;
  /** What follows the verb. */
  words: readonly string[];
}

/** The global flags with a value, and those without one. */
const VALUED = ["--root", "--log", "--log-format", "--config", "--trace", "--rootless"];
const PLAIN = ["--debug", "--systemd-cgroup"];

/** @returns undefined for whatever is unusual before the verb, or wrong. */
export function plainCommand(args: readonly string[]): PlainCommand | undefined {
  const values = new Map<string, string>();
  let at = 0;
  for (; args[at]?.startsWith("-"); at++) {
    const [name, value] = split(args[at] ?? "");
    if (PLAIN.includes(name) && value === undefined) values.set(name, "");
    else if (VALUED.includes(name)) values.set(name, value ?? args[++at] ?? "");
    else return undefined;
  }
  const verb = args[at];
  const path = (name: string) => (values.has(name) ? resolve(values.get(name) ?? "") : undefined);
  const logFormat = values.get("--log-format") ?? "text";
  const rootless = values.get("--rootless") ?? "auto";
  if (verb === undefined || (logFormat !== "text" && logFormat !== "json")) return undefined;
  if (rootless !== "auto" && rootless !== "false") return undefined;
  const globals = {
    root: path("--root") ?? DEFAULT_ROOT,
    config: path("--config"),
    log: path("--log"),
    logFormat,
    debug: values.has("--debug"),
    systemdCgroup: values.has("--systemd-cgroup"),
    trace: path("--trace"),
  } as const;
  return { globals, verb, words: args.slice(at + 1) };
}

/** A flag and its value, if it has one. */
function split(word: string): [name: string, value?: string] {
  const at = word.indexOf("=");
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}
