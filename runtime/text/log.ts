/**
 * The runtime's log, as runc writes it: containerd and podman read its JSON lines for the reason of a failure.
 *
 * Written here and not by pino: loading pino takes longer (13 to 16 ms) than all else the CLI loads together, and what
 * is needed of it is one line's format. Messages never hold environment values or other contents of the container.
 */
import { closeSync, constants, openSync, statSync } from "node:fs";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "./errors.ts";
import { printError, writeWhole } from "./stderr.ts";

export const LOG_LEVELS = ["error", "warning", "info", "debug"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Further values of a record; none may be named level, msg or time. */
export type LogFields = Record<string, string | number | boolean>;

export interface LogOptions {
  /** Appended to; standard error when missing. */
  log?: string | undefined;
  /** "text" is logrus's. */
  logFormat: "text" | "json";
  /** Level debug instead of info. */
  debug: boolean;
}

const STDERR = 2;

class Log {
  #fd = STDERR;
  #format: LogOptions["logFormat"] = "text";
  #level: LogLevel = "info";

  /** Throws CAISSON_E_USAGE when the file cannot be opened. Until it is called, records go to standard error as text. */
  start({ log, logFormat, debug }: LogOptions): void {
    this.stop();
    if (log !== undefined) this.#fd = openLog(log);
    this.#format = logFormat;
    this.#level = debug ? "debug" : "info";
  }

  /** Closes the file; later records go to standard error. */
  stop(): void {
    if (this.#fd !== STDERR) closeSync(this.#fd);
    this.#fd = STDERR;
  }

  get level(): LogLevel {
    return this.#level;
  }

  /** Records of lower levels are left out; error is the highest. */
  set level(level: LogLevel) {
    this.#level = level;
  }

  /** Whether records go to standard error, where an error then need not be printed a second time. */
  get isStderr(): boolean {
    return this.#fd === STDERR;
  }

  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }

  warning(message: string, fields?: LogFields): void {
    this.#write("warning", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }

  #write(level: LogLevel, message: string, fields?: LogFields): void {
    if (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(this.#level)) return;
    const time = new Date().toISOString();
    const line =
      this.#format === "json" ? jsonLine(level, message, time, fields) : textLine(level, message, time, fields);
    if (this.isStderr) printError(line);
    else writeWhole(this.#fd, Buffer.from(line));
  }
}

export const log = new Log();

/** Each record is an object on a line, with level, msg and time (RFC 3339) after the record's own fields, whose names cannot hide them. */
export function jsonLine(level: LogLevel, msg: string, time: string, fields?: LogFields): string {
  return `${JSON.stringify({ ...fields, level, msg, time })}\n`;
}

/** `time="..." level=info msg="..." key=value`. */
export function textLine(level: LogLevel, msg: string, time: string, fields?: LogFields): string {
  const pairs = Object.entries({ time, level, msg, ...fields });
  return `${pairs.map(([key, value]) => `${key}=${textValue(String(value))}`).join(" ")}\n`;
}

/** Bare as logrus writes it, or else quoted, so that no value can look like another pair or another line. */
function textValue(value: string): string {
  return /^[A-Za-z0-9._/@^+-]+$/.test(value) ? value : JSON.stringify(value);
}

function openLog(path: string): number {
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isFIFO()) return openFifo(path);
    return openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o644);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_USAGE", systemErrorSentence(`open the log file ${path}`, cause), {
      cause,
      remedy: "Name a file that can be written with --log.",
    });
  }
}

/**
 * Opening a FIFO waits for its reader (fifo(7)), who may have died, or die between a look and the call: containerd does. So
 * there is one, ourselves, for that moment. Without one later records are lost, until somebody reads again.
 */
function openFifo(path: string): number {
  const both = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    return openSync(`/proc/self/fd/${both}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } finally {
    closeSync(both);
  }
}
