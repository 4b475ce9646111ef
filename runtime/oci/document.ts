/** Reads the JSON documents that callers hand us as files: config.json, process.json, resources.json. */
import { isUtf8 } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { CaissonError, type ErrorCode } from "../../protocol/errors.ts";
import { parseJson } from "../../protocol/json.ts";
import { systemErrorSentence } from "../errors.ts";
import { findSyntaxProblem } from "./json-syntax.ts";

/** The agent takes messages of at most 4 MiB (protocol/agent.proto); the rest of the message needs room, too. */
export const LARGEST_DOCUMENT_BYTES = 4 * 1024 * 1024 - 64 * 1024;

/**
 * The JSON value in the file. Throws CAISSON_E_CONFIG_INVALID, with line and column, when it holds anything else or
 * too much, and `missing` when it cannot be opened.
 */
export function readDocument(path: string, missing: ErrorCode): unknown {
  const bytes = readFile(path, missing);
  if (!isUtf8(bytes)) throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${path} is not JSON: it is not UTF-8 text`);
  const text = bytes.toString();
  try {
    return parseJson(text);
  } catch (cause) {
    const problem = findSyntaxProblem(text);
    const where = problem === undefined ? path : `${path}, line ${problem.line}, column ${problem.column}`;
    const what = problem?.message ?? (cause as Error).message;
    throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${where}: not valid JSON: ${what}`, { cause });
  }
}

function readFile(path: string, missing: ErrorCode): Buffer {
  let fd: number | undefined;
  try {
    // Without O_NONBLOCK a FIFO in the file's place would block us until someone writes to it.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile()) {
      throw new CaissonError(missing, `cannot read ${path}: it is not a regular file`);
    }
    if (stat.size > LARGEST_DOCUMENT_BYTES) {
      throw new CaissonError(
        "CAISSON_E_CONFIG_INVALID",
        `${path} is too large: it has ${stat.size} bytes, and at most ${LARGEST_DOCUMENT_BYTES} reach the guest`,
      );
    }
    return readWhole(fd, stat.size);
  } catch (cause) {
    if (cause instanceof CaissonError) throw cause;
    throw new CaissonError(missing, systemErrorSentence(`read ${path}`, cause), { cause });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function readWhole(fd: number, size: number): Buffer {
  const buffer = Buffer.alloc(size);
  let length = 0;
  while (length < size) {
    const count = readSync(fd, buffer, length, size - length, null);
    if (count === 0) break;
    length += count;
  }
  return buffer.subarray(0, length);
}
