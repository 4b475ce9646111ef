/** An exec as engines and people write it, without a parser of command lines (as quick.ts). */
import type { PlainCommand } from "../control/plain-command.ts";
import { type ExecFlags, exec } from "./exec-action.ts";
import { begin, reporting } from "./reporting.ts";

interface QuickExec {
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
export function quickExec(words: readonly string[]): QuickExec | undefined {
  const flags: ExecFlags = { newPrivs: true, preserveFds: "0" };
  const env: string[] = [];
  let at = 0;
  for (; words[at]?.startsWith("-"); at++) {
    const [name, given] = split(words[at] ?? "");
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
function split(word: string): [name: string, value?: string] {
  const at = word.startsWith("--") ? word.indexOf("=") : -1;
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

/** Carries an exec out and sets this process's exit code. @returns false, having done nothing, when it is no such one. */
export function tryExec({ globals, verb, words }: PlainCommand): boolean {
  const found = verb === "exec" ? quickExec(words) : undefined;
  if (found === undefined) return false;
  void reporting(async () => {
    await begin(globals, verb);
    await exec(globals, found.id, found.args, found.flags);
  });
  return true;
}
