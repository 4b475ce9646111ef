import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { readBounded } from "../text/bounded-read.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { print } from "../text/stdout.ts";
import { parseTrace } from "../tracing/chrome.ts";
import { drawTrace } from "../tracing/svg.ts";
import { type Globals, verb } from "./command.ts";

const LARGEST_BYTES = 64 * 1024 * 1024;

export function command(_globals: Globals): Command {
  return verb("trace", "Draws the phases of a start that --trace has recorded.")
    .argument("<file>", "what --trace has written")
    .option("-o, --output <file>", "the drawing, as SVG (default: standard output)")
    .action((file: string, { output }: { output?: string }) => {
      const drawing = drawTrace(parseTrace(read(file), file));
      if (output === undefined) print(drawing);
      else write(resolve(output), drawing);
    });
}

function read(path: string): string {
  try {
    return readBounded(path, { bytes: LARGEST_BYTES, pipes: true }).toString();
  } catch (cause) {
    throw new CaissonError("CAISSON_E_USAGE", systemErrorSentence(`read the trace ${path}`, cause), { cause });
  }
}

function write(path: string, drawing: string): void {
  try {
    writeFileSync(path, drawing);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_USAGE", systemErrorSentence(`write the drawing ${path}`, cause), { cause });
  }
}
