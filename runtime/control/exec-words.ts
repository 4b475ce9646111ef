/** The words of an exec as engines and people write it, without a parser of command lines (as quick-words.ts). */
import type { ProcessFlags } from "../oci/exec-process.ts";

/** The flags of `exec`. */
export interface ExecFlags extends Omit<ProcessFlags, "noNewPrivs"> {
  process?: string;
  newPrivs: boolean;
  consoleSocket?: string;
  detach?: boolean;
  pidFile?: string;
  pidfdSocket?: string;
  ignorePaused?: boolean;
  preserveFds: string;
  processLabel?: string;
  apparmor?: string;
  cgroup?: string;
}

export interface ExecWords {
  id: string;
  args: readonly string[];
  flags: ExecFlags;
}

/** Flags with a value, and where it goes. */
const VALUED: Readonly<Record<string, "process" | "pidFile" | "cwd" | "user" | "consoleSocket">> = {
  "--process": "process",
  "-p": "process",
  "--pid-file": "pidFile",
  "--cwd": "cwd",
  "--user": "user",
  "-u": "user",
  "--console-socket": "consoleSocket",
};
const PLAIN: Readonly<Record<string, "detach" | "tty">> = {
  "--detach": "detach",
  "-d": "detach",
  "--tty": "tty",
  "-t": "tty",
};
const VARIABLE = ["--env", "-e"];

/** @returns undefined for whatever the command line's own parser is to look at. */
export function execWords(words: readonly string[]): ExecWords | undefined {
  const flags: ExecFlags = { newPrivs: true, preserveFds: "0" };
  const env: string[] = [];
  let at = 0;
  for (; words[at]?.startsWith("-"); at++) {
    const [name, given] = splitFlag(words[at] ?? "");
    const plain = Object.hasOwn(PLAIN, name) ? PLAIN[name] : undefined;
    if (plain !== undefined && given === undefined) {
      flags[plain] = true;
      continue;
    }
    const valued = Object.hasOwn(VALUED, name) ? VALUED[name] : undefined;
    const value = given ?? words[++at];
    if (value === undefined) return undefined;
    if (VARIABLE.includes(name)) env.push(value);
    else if (valued !== undefined) flags[valued] = value;
    else return undefined;
  }
  if (env.length > 0) flags.env = env;
  const id = words[at];
  return id === undefined ? undefined : { id, args: words.slice(at + 1), flags };
}

/** A long flag and its value, if they are one word. */
export function splitFlag(word: string): [name: string, value?: string] {
  const at = word.startsWith("--") ? word.indexOf("=") : -1;
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}
