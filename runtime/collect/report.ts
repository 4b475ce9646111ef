import { readFileSync } from "node:fs";
import { arch, hostname, release, totalmem, uptime } from "node:os";
import { join } from "node:path";
import { readGuestLogs } from "../exporter/guest-logs.ts";
import { type KnownSandbox, knownSandboxes, uniqueIds } from "../exporter/sandboxes.ts";
import { readTotals } from "../metrics/totals.ts";
import { statePaths } from "../state/paths.ts";
import { readBounded } from "../text/bounded-read.ts";
import { formatError } from "../text/errors.ts";
import { engineLines } from "./engine-log.ts";
import { kernelMessages } from "./kernel-log.ts";
import { describeProcesses } from "./processes.ts";
import { redactConfig, redactRecord, redactSettings } from "./redact.ts";
import { summarise } from "./summary.ts";
import type { TarFile } from "./tar.ts";

export interface ReportOptions {
  root: string;
  /** Settings file; absolute. */
  settingsFile: string;
  version: string;
  /** Texts of what the command line's own verbs say. */
  check(): Promise<string>;
  metrics(): Promise<string>;
}

export interface Report {
  /** In a folder of their own. */
  files: TarFile[];
  /** What an operator reads first. */
  summary: string;
}

/** A configuration has 4 MiB at most, a record parts of it. */
const LARGEST_BYTES = 8 * 1024 * 1024;
/** A report has this many sandboxes at most: those that were created last. */
const MOST_SANDBOXES = 200;

/** All that tells how this host and its sandboxes are. What cannot be had is told in its place. */
export async function makeReport(folder: string, options: ReportOptions): Promise<Report> {
  const skipped: string[] = [];
  const all = knownSandboxes(options.root, (reason) => skipped.push(reason));
  const sandboxes = [...all].sort((a, b) => (a.record.created < b.record.created ? 1 : -1)).slice(0, MOST_SANDBOXES);
  const ids = uniqueIds(sandboxes);
  const texts = new Map<string, string>([
    ["versions.txt", versions(options.version)],
    ["check.txt", await orReason(options.check)],
    ["settings.toml", await orReason(async () => redactSettings(read(options.settingsFile)))],
    ["metrics.txt", await orReason(options.metrics)],
    ["kernel.log", await orReason(kernelMessages)],
    ["engines.log", await orReason(engineLines)],
  ]);
  if (skipped.length > 0) texts.set("unreadable.txt", `${skipped.join("\n")}\n`);
  for (const sandbox of sandboxes) {
    const place = `sandboxes/${fileName(ids.get(sandbox) ?? sandbox.id)}`;
    for (const [name, text] of await describeSandbox(sandbox)) texts.set(`${place}/${name}`, text);
  }
  const summary = summarise({ sandboxes: all, last: readTotals().last, skipped, version: options.version });
  texts.set("summary.txt", summary);
  const files = [...texts].map(([name, text]) => ({ name: `${folder}/${name}`, content: Buffer.from(text) }));
  return { files, summary };
}

async function describeSandbox(sandbox: KnownSandbox): Promise<[string, string][]> {
  const { record, root } = sandbox;
  const logs = await readGuestLogs(sandbox);
  const config = join(record.bundle, "config.json");
  return [
    ["state.json", json(redactRecord(record))],
    ["config.json", await orReason(async () => json(redactConfig(JSON.parse(read(config)))))],
    ["console.log", lines(logs.console)],
    ["agent.log", lines(logs.agent)],
    ["processes.txt", describeProcesses(record, statePaths(root, record.id).directory)],
  ];
}

function versions(version: string): string {
  const facts = {
    caisson: version,
    node: process.version,
    host: hostname(),
    kernel: `${release()} ${arch()}`,
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(readIfThere("/etc/os-release"))?.[1] ?? "?",
    uptime: `${Math.round(uptime())} s`,
    memory: `${Math.round(totalmem() / 1024 / 1024)} MiB`,
    load: readIfThere("/proc/loadavg").trim(),
    pressure: ["cpu", "memory", "io"].map((each) => readIfThere(`/proc/pressure/${each}`).split("\n")[0]).join("; "),
  };
  return Object.entries(facts)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join("");
}

/** What comes of it, or why nothing does: a report is made of what there is. */
async function orReason(get: () => Promise<string>): Promise<string> {
  try {
    return await get();
  } catch (error) {
    return `not available: ${formatError(error)}\n`;
  }
}

function read(path: string): string {
  return readBounded(path, { bytes: LARGEST_BYTES }).toString();
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function lines(texts: readonly string[]): string {
  return texts.map((line) => `${line}\n`).join("");
}

/** An id as a file's name. */
function fileName(id: string): string {
  return id
    .replaceAll(/[^A-Za-z0-9_.-]/g, "_")
    .slice(0, 80)
    .replace(/^\.+/, "_");
}
