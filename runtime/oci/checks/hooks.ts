/** config.md: POSIX-platform Hooks. */
import { HOOK_NAMES } from "../../../protocol/oci.ts";
import { absolutePath, type Check, noNulByte } from "./check.ts";

export const hooks: Check = function* ({ hooks }) {
  for (const name of HOOK_NAMES) {
    for (const [index, { path, args, env, timeout }] of hooks?.[name]?.entries() ?? []) {
      const field = `hooks.${name}[${index}]`;
      yield* absolutePath(`${field}.path`, path);
      for (const [at, argument] of args?.entries() ?? []) yield* noNulByte(`${field}.args[${at}]`, argument);
      for (const [at, entry] of env?.entries() ?? []) {
        yield* noNulByte(`${field}.env[${at}]`, entry);
        if (entry.indexOf("=") < 1) yield { field: `${field}.env[${at}]`, message: "must have the form NAME=value" };
      }
      if (timeout !== undefined && timeout < 1) {
        yield { field: `${field}.timeout`, message: `must be at least 1 second, not ${timeout}` };
      }
    }
  }
};
