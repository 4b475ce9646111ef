import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import { rootlessSpec } from "../oci/rootless-spec.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { verb } from "./command.ts";

export function command(): Command {
  return verb("spec", "Writes a config.json to start from: a shell in a root file system at rootfs.")
    .option("-b, --bundle <directory>", "where to write it", ".")
    .option(
      "--rootless",
      "one whose root is the caller's user, in a user namespace; running it needs root all the same",
    )
    .action(({ bundle, rootless }: { bundle: string; rootless?: boolean }) => {
      const spec = rootless === true ? rootlessSpec(process.geteuid?.() ?? 0, process.getegid?.() ?? 0) : defaultSpec();
      writeNew(join(bundle, "config.json"), `${JSON.stringify(spec, null, "\t")}\n`);
    });
}

/** Never over a file that is there: it may hold work. */
function writeNew(path: string, text: string): void {
  try {
    const fd = openSync(path, "wx", 0o666);
    try {
      writeSync(fd, text);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") {
      throw new CaissonError("CAISSON_E_BUNDLE", `File ${path} exists. Remove it first`, { cause });
    }
    throw new CaissonError("CAISSON_E_BUNDLE", systemErrorSentence(`write ${path}`, cause), { cause });
  }
}
