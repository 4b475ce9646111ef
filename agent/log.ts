import { writeSync } from "node:fs";
import type { LogRecord } from "../protocol/generated/agent.ts";
import { Broadcast } from "./broadcast.ts";

const LEVELS = ["error", "warning", "info", "debug"] as const;
export type LogLevel = (typeof LEVELS)[number];

/** What the host is told of it. */
export const logBroadcast = new Broadcast<LogRecord>();

let limit = LEVELS.indexOf("info");

/** Whether a text names a level. */
export function isLogLevel(text: string): text is LogLevel {
  return (LEVELS as readonly string[]).includes(text);
}

/** Drops records below `level` from now on. */
export function setLogLevel(level: LogLevel): void {
  limit = LEVELS.indexOf(level);
}

/** Sends one record to the host; errors also go to the guest's console, which the host keeps in a file. */
export function log(level: LogLevel, message: string): void {
  if (LEVELS.indexOf(level) > limit) return;
  if (level === "error") printError(message);
  logBroadcast.publish({ level, message, realtimeNs: BigInt(Date.now()) * 1_000_000n, dropped: 0n });
}

function printError(message: string): void {
  try {
    writeSync(2, `agent: ${message}\n`);
  } catch {
    // The console is gone or full; the stream still has the record.
  }
}
