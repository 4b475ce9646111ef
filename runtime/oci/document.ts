/** Reads the JSON documents that callers hand us as files: config.json, process.json, resources.json. */
import { isUtf8 } from "node:buffer";
import { CaissonError, type ErrorCode } from "../../protocol/errors.ts";
import { LONGEST_MESSAGE } from "../../protocol/guest-contract.ts";
import { parseJson } from "../../protocol/json.ts";
import { readBounded, readStdin, TooLarge } from "../text/bounded-read.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { findSyntaxProblem } from "./json-syntax.ts";
import { isNestedDeeper } from "./nesting.ts";

/** A document goes to the agent in one message, the rest of which needs room, too. */
export const LARGEST_DOCUMENT_BYTES = LONGEST_MESSAGE - 64 * 1024;

/** Arrays and objects within each other. The specification's own go eight deep; functions that recurse need an end. */
export const DEEPEST_NESTING = 200;

export interface DocumentOptions {
  /** Whether the file may be a pipe, as of `<(...)`, or a device. */
  pipes?: boolean;
}

/**
 * The JSON value in the file. Throws CAISSON_E_CONFIG_INVALID, with line and column, when it holds anything else, too
 * much, or too deep a nesting, and `missing` when it cannot be opened or its writer takes too long.
 */
export function readDocument(path: string, missing: ErrorCode, { pipes = false }: DocumentOptions = {}): unknown {
  let bytes: Buffer;
  try {
    bytes = readBounded(path, { bytes: LARGEST_DOCUMENT_BYTES, pipes });
  } catch (cause) {
    throw unreadable(path, missing, cause);
  }
  return parseDocument(bytes, path);
}

/** The JSON value on standard input; errors as for readDocument. */
export async function readStdinDocument(missing: ErrorCode): Promise<unknown> {
  let bytes: Buffer;
  try {
    bytes = await readStdin({ bytes: LARGEST_DOCUMENT_BYTES });
  } catch (cause) {
    throw unreadable("standard input", missing, cause);
  }
  return parseDocument(bytes, "standard input");
}

function unreadable(path: string, missing: ErrorCode, cause: unknown): CaissonError {
  if (cause instanceof TooLarge) {
    return new CaissonError("CAISSON_E_CONFIG_INVALID", `${path} is too large: ${cause.message}`, { cause });
  }
  return new CaissonError(missing, systemErrorSentence(`read ${path}`, cause), { cause });
}

/** The JSON value in a file's bytes, which `path` names in errors; as readDocument(). */
export function parseDocument(bytes: Buffer, path: string): unknown {
  if (!isUtf8(bytes)) throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${path} is not JSON: it is not UTF-8 text`);
  const text = bytes.toString();
  if (isNestedDeeper(text, DEEPEST_NESTING)) {
    throw new CaissonError(
      "CAISSON_E_CONFIG_INVALID",
      `${path} is nested too deeply: arrays and objects may be ${DEEPEST_NESTING} deep within each other`,
    );
  }
  try {
    return parseJson(text);
  } catch (cause) {
    const problem = findSyntaxProblem(text);
    const where = problem === undefined ? path : `${path}, line ${problem.line}, column ${problem.column}`;
    const what = problem?.message ?? (cause as Error).message;
    throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${where}: not valid JSON: ${what}`, { cause });
  }
}
