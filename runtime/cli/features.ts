import type { Command } from "commander";
import { features } from "../oci/features.ts";
import { print } from "../text/stdout.ts";
import { verb } from "./command.ts";
import { VERSION } from "./version.ts";

export function command(): Command {
  return verb(
    "features",
    "Prints what the runtime supports as JSON (features.md of the OCI runtime specification).",
  ).action(() => {
    print(`${JSON.stringify(features(VERSION), null, 4)}\n`);
  });
}
