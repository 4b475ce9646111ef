import type { Command } from "commander";
import { gatherMetrics } from "../exporter/gather.ts";
import { print } from "../text/stdout.ts";
import { type Globals, verb } from "./command.ts";
import { VERSION } from "./version.ts";

export function command({ root, config }: Globals): Command {
  return verb("metrics", "Prints how all sandboxes of the host are, in Prometheus' text format.").action(async () => {
    print((await gatherMetrics(root, config, VERSION)).text());
  });
}
