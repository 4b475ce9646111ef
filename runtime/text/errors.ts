/** How the host shows errors: one line, with remedy and causes, and the exit status that goes with them. */
import { getSystemErrorMessage } from "node:util";
import { CaissonError, type ErrorCode, type WireError } from "../../protocol/errors.ts";

/** Node's errors of system calls: `code` is the errno's name. */
interface SystemError extends Error {
  code: string;
  errno?: number | undefined;
  syscall?: string | undefined;
  path?: string | undefined;
}

export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && typeof (error as { code?: unknown }).code === "string" && "syscall" in error;
}

/** "cannot <doing>: <why> (<errno>)" for any error; `doing` is a verb with its object: "read /etc/passwd". */
export function systemErrorSentence(doing: string, error: unknown): string {
  if (!isSystemError(error)) return `cannot ${doing}: ${error instanceof Error ? error.message : String(error)}`;
  return `cannot ${doing}: ${reason(error)} (${error.code})`;
}

function reason({ errno, message }: SystemError): string {
  if (typeof errno !== "number") return message;
  // libuv's numbers are negative errnos; the native addons' are positive.
  return getSystemErrorMessage(-Math.abs(errno));
}

/** A single line without the code: what explainError() tells, and what to do. */
export function formatError(error: unknown): string {
  const text = explainError(error);
  const remedy = findRemedy(error);
  return remedy === undefined ? text : oneLine(`${text.replace(/[.\s]+$/, "")}. ${remedy}`);
}

/**
 * A single line: what failed and what caused it. Causes that the message already tells are left out; an AggregateError's
 * errors follow each other.
 */
export function explainError(error: unknown): string {
  const parts: string[] = [];
  collect(error, parts, new Set());
  return oneLine(parts.join(": ") || "unknown error");
}

function collect(error: unknown, parts: string[], seen: Set<unknown>): void {
  if (error === undefined || error === null || seen.has(error)) return;
  seen.add(error);
  if (error instanceof SuppressedError) {
    // The body failed first (`suppressed`), then its clean-up (`error`).
    parts.push(`${formatError(error.suppressed)}; and cleaning up after it failed, too: ${formatError(error.error)}`);
    return;
  }
  const text = messageOf(error);
  if (text !== "" && !parts.some((part) => part.includes(text) || tellsErrno(part, error))) parts.push(text);
  if (!(error instanceof Error)) return;
  if (error instanceof AggregateError && error.errors.length > 0) {
    parts.push(error.errors.map((each) => formatError(each)).join("; "));
  }
  collect(error.cause, parts, seen);
}

/** A sentence that ends in "(ENOENT)" has told the system error below it. */
function tellsErrno(part: string, error: unknown): boolean {
  return isSystemError(error) && part.includes(`(${error.code})`);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!isSystemError(error)) return error.message;
  if (error.syscall === undefined) return reason(error);
  const call = error.path === undefined ? error.syscall : `${error.syscall} ${error.path}`;
  return `${call}: ${reason(error)} (${error.code})`;
}

function findRemedy(error: unknown): string | undefined {
  for (const { remedy } of caissonErrors(error)) {
    if (remedy !== undefined) return remedy;
  }
  return undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ").trim();
}

/** What the host had too little of, by the errno that says so, where no sentence of ours does. */
const EXHAUSTED: Readonly<Record<string, ErrorCode>> = {
  EMFILE: "CAISSON_E_HOST",
  ENFILE: "CAISSON_E_HOST",
  ENOMEM: "CAISSON_E_HOST",
  EAGAIN: "CAISSON_E_HOST",
  ENOSPC: "CAISSON_E_STORAGE",
  EDQUOT: "CAISSON_E_STORAGE",
  EROFS: "CAISSON_E_STORAGE",
};

/**
 * The permanent code of an error, its own or its closest cause's; where none has one that of what the host lacks or has run
 * out of, else CAISSON_E_INTERNAL.
 */
export function codeOf(error: unknown): ErrorCode {
  const own = caissonErrors(error).next().value?.code;
  if (own !== undefined) return own;
  for (const cause of causesOf(error)) {
    if (!isSystemError(cause)) continue;
    const code = EXHAUSTED[cause.code];
    if (code !== undefined) return code;
    if (cause.code === "ENOENT" && cause.path?.startsWith("/proc/")) return "CAISSON_E_HOST";
  }
  return "CAISSON_E_INTERNAL";
}

/** An error of any kind as it crosses a connection between processes of ours. */
export function toWireError(error: unknown): WireError {
  const { field, remedy } = error instanceof CaissonError ? error : {};
  return { code: codeOf(error), message: explainError(error), field, remedy };
}

/** Exit status of `run` for an error, as shells have it; `exec` ends with 255, every other verb with 1. */
export function exitCodeOf(error: unknown): number {
  for (const { code } of caissonErrors(error)) {
    if (code === "CAISSON_E_COMMAND_NOT_FOUND") return 127;
    if (code === "CAISSON_E_COMMAND_NOT_EXECUTABLE") return 126;
  }
  return 1;
}

/** Our errors among an error and its causes, the outermost first. */
function* caissonErrors(error: unknown): Generator<CaissonError, undefined> {
  for (const cause of causesOf(error)) {
    if (cause instanceof CaissonError) yield cause;
  }
  return undefined;
}

/** An error and its causes, the outermost first. A cause may be its own cause. */
function* causesOf(error: unknown): Generator<Error> {
  for (let at = error, depth = 0; at instanceof Error && depth < 20; at = at.cause, depth++) yield at;
}
