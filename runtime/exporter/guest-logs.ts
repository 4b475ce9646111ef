import { stripVTControlCharacters } from "node:util";
import { connectControl } from "../control/client.ts";
import type { LogFiles } from "../control/protocol.ts";
import { guestLogPath, statePaths } from "../state/paths.ts";
import { readBounded, SMALL_FILE } from "../text/bounded-read.ts";
import { formerPath } from "../text/rotated-file.ts";
import type { KnownSandbox } from "./sandboxes.ts";

/** What is kept of a guest's words; empty where nothing is. */
export interface GuestLogs {
  console: string[];
  agent: string[];
}

const ANSWER_LIMIT_MS = 2000;

/** The lines of a guest, also of one that has ended, without what could drive a terminal. */
export async function readGuestLogs(sandbox: KnownSandbox): Promise<GuestLogs> {
  const files = await findLogFiles(sandbox);
  return { console: linesOf(files.console), agent: linesOf(files.agent) };
}

/** A line without what could drive a terminal. */
export function withoutControls(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what it removes
  return stripVTControlCharacters(line).replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}

/** A sandbox that others share has them in a folder of its own, which its daemon knows. */
export async function findLogFiles({ root, record, directory }: KnownSandbox): Promise<LogFiles> {
  const { consoleLog } = statePaths(root, record.id);
  const usual = { console: consoleLog, agent: guestLogPath(consoleLog) };
  if (record.status === "stopped") return usual;
  try {
    using client = await connectControl(directory);
    const timer = setTimeout(() => client.close(), ANSWER_LIMIT_MS);
    try {
      return await client.request("logFiles", {});
    } finally {
      clearTimeout(timer);
    }
  } catch {
    return usual;
  }
}

function linesOf(path: string): string[] {
  const text = [formerPath(path), path].map(readIfThere).join("");
  const lines = text.split("\n").map(withoutControls);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function readIfThere(path: string): string {
  try {
    return readBounded(path, SMALL_FILE).toString("utf8");
  } catch {
    return "";
  }
}
