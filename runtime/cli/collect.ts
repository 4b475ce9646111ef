import { chmodSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { makeReport } from "../collect/report.ts";
import { tar } from "../collect/tar.ts";
import { DEFAULT_SETTINGS_FILE } from "../config/load.ts";
import { gatherMetrics } from "../exporter/gather.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { print } from "../text/stdout.ts";
import { inspect } from "./check.ts";
import { reportText } from "./check-report.ts";
import { type Globals, verb } from "./command.ts";
import { VERSION } from "./version.ts";

const SKIPPED = "left out, as asked\n";

interface Flags {
  output?: string;
  check: boolean;
}

export function command({ root, config }: Globals): Command {
  return verb("collect", "Puts what tells how this host and its sandboxes are into one archive, without secrets.")
    .option("-o, --output <file>", "where to write it (default: caisson-report-TIME.tar.gz)")
    .option("--no-check", "leave out caisson check, which boots a VM")
    .action(async ({ output, check }: Flags) => {
      const now = new Date();
      const stamp = now.toISOString().replaceAll(/[-:]|\.\d+/g, "");
      const name = `caisson-report-${hostname()
        .replaceAll(/[^A-Za-z0-9-]/g, "_")
        .slice(0, 40)}-${stamp}`;
      const { files, summary } = await makeReport(name, {
        root,
        settingsFile: config ?? DEFAULT_SETTINGS_FILE,
        version: VERSION,
        check: async () => (check ? reportText(await inspect(config)) : SKIPPED),
        metrics: async () => (await gatherMetrics(root, config, VERSION)).text(),
      });
      const archive = await promisify(gzip)(tar(files, now.getTime() / 1000));
      const path = resolve(output ?? `${name}.tar.gz`);
      write(path, archive);
      print(`${summary}\nwritten: ${path}\n`);
    });
}

function write(path: string, archive: Uint8Array): void {
  try {
    writeFileSync(path, archive, { mode: 0o600 });
    // A file that was there keeps its own mode.
    chmodSync(path, 0o600);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_STORAGE", systemErrorSentence(`write the report ${path}`, cause), {
      cause,
      remedy: "name a file that can be written with --output",
    });
  }
}
