import type { Command } from "commander";
import { refused } from "./checkpoint.ts";

export function command(): Command {
  return refused("restore");
}
