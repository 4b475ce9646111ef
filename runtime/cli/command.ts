import { Command, CommanderError, type OutputConfiguration } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import type { EarlyDaemon } from "../control/early-daemon.ts";
import type { GlobalSettings } from "../control/plain-command.ts";
import { print } from "../text/stdout.ts";

/** The flags before the verb. */
export interface Globals extends GlobalSettings {
  /** One that has been started for whatever creates a container. */
  daemon?: EarlyDaemon | undefined;
}

/** What commander would print about wrong usage is thrown instead, so that it reaches `--log`, too. Help may end early, as in `| head`. */
const QUIET: OutputConfiguration = { writeOut: print, writeErr: () => {}, outputError: () => {} };

/** A command that throws what commander would end the process for: `parse` makes it ours. */
export function verb(name: string, description: string): Command {
  return new Command(`caisson ${name}`)
    .description(description)
    .helpOption("-h, --help", "show this help")
    .showSuggestionAfterError(true)
    .configureOutput(QUIET)
    .exitOverride();
}

/**
 * Runs the command with these arguments; true when it printed its help or version instead.
 * @throws CaissonError CAISSON_E_USAGE with the command's usage line, and whatever its action throws.
 */
export async function parse(command: Command, args: readonly string[]): Promise<boolean> {
  try {
    await command.parseAsync(args, { from: "user" });
    return false;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return true;
    const name = command.name();
    const message = error.code === "commander.help" ? "a command is missing" : error.message.replace(/^error: /, "");
    throw new CaissonError("CAISSON_E_USAGE", `${name}: ${message.replace(/\s*\n/g, " ")}`, {
      remedy: `Usage: ${name} ${command.usage()}; "${name} --help" says more.`,
    });
  }
}

/** An option's parser that gathers all its values in order. */
export function collect(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}
