import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import type { LogFiles } from "../control/protocol.ts";
import { FollowedLog } from "../exporter/followed-log.ts";
import { findLogFiles, readGuestLogs } from "../exporter/guest-logs.ts";
import { findSandbox, knownSandboxes } from "../exporter/sandboxes.ts";
import { log } from "../text/log.ts";
import { print } from "../text/stdout.ts";
import { type Globals, verb } from "./command.ts";

interface Flags {
  guest?: boolean;
  console?: boolean;
  agent?: boolean;
  lines?: string;
  follow?: boolean;
}

/** Whoever follows sees what comes within this time. */
const FOLLOW_MS = 250;

export function command({ root }: Globals): Command {
  return verb("logs", "Prints the end of the guest's console, and its agent's log.")
    .argument("<id>", "a container's or a sandbox's id, or the first 8 characters of an engine's")
    .option("--guest", "both, which is the default")
    .option("--console", "the console alone")
    .option("--agent", "the agent's log alone")
    .option("--lines <n>", "the last lines of each")
    .option("-f, --follow", "and what is added from then on, until the container is deleted")
    .action(async (id: string, flags: Flags) => {
      const count = lineCount(flags.lines);
      const sandbox = findSandbox(
        knownSandboxes(root, (reason) => log.warning(reason)),
        id,
      );
      const files = await findLogFiles(sandbox);
      // Opened first: nothing is lost in between.
      const followed = flags.follow === true ? followedLogs(flags, files) : [];
      const { console, agent } = await readGuestLogs(sandbox);
      const parts: [string, readonly string[]][] = [];
      const both = flags.guest === true || (flags.console === undefined && flags.agent === undefined);
      if (both || flags.console === true) parts.push(["console", console]);
      if (both || flags.agent === true) parts.push(["agent", agent]);
      print(parts.map(([name, lines]) => section(parts.length > 1 ? name : undefined, lines.slice(-count))).join(""));
      if (followed.length > 0) await follow(followed);
    });
}

/** The name is put before lines where there are two. */
function followedLogs(flags: Flags, { console, agent }: LogFiles): { name: string; log: FollowedLog }[] {
  const both = flags.guest === true || (flags.console === undefined && flags.agent === undefined);
  return [
    ...(both || flags.console === true ? [{ name: both ? "console: " : "", log: new FollowedLog(console) }] : []),
    ...(both || flags.agent === true ? [{ name: both ? "agent: " : "", log: new FollowedLog(agent) }] : []),
  ];
}

async function follow(logs: readonly { name: string; log: FollowedLog }[]): Promise<void> {
  for (let wasThere = false; ; await sleep(FOLLOW_MS)) {
    const isGone = logs.every(({ log }) => log.isGone);
    print(
      logs
        .map(({ name, log }) =>
          log
            .read()
            .map((line) => `${name}${line}\n`)
            .join(""),
        )
        .join(""),
    );
    // An agent that has had nothing to say has no file.
    if (isGone && wasThere) return;
    wasThere ||= !isGone;
  }
}

function section(name: string | undefined, lines: readonly string[]): string {
  const heading = name === undefined ? "" : `==> ${name} <==\n`;
  return `${heading}${lines.map((line) => `${line}\n`).join("")}`;
}

function lineCount(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new CaissonError("CAISSON_E_USAGE", `--lines: "${text}" is no number of lines`, { remedy: "give 1 or more" });
}
