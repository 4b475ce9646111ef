import { Metadata, type ServerErrorResponse, type StatusObject, status } from "@grpc/grpc-js";
import { CaissonError, type ErrorCode, toMetadata } from "../../protocol/errors.ts";
import { log } from "../log.ts";

const STATUS: Partial<Record<ErrorCode, status>> = {
  CAISSON_E_CONFIG_INVALID: status.INVALID_ARGUMENT,
  CAISSON_E_CONFIG_UNSUPPORTED: status.INVALID_ARGUMENT,
  CAISSON_E_ID_INVALID: status.INVALID_ARGUMENT,
  CAISSON_E_ID_IN_USE: status.ALREADY_EXISTS,
  CAISSON_E_NOT_FOUND: status.NOT_FOUND,
  CAISSON_E_INTERNAL: status.INTERNAL,
};

/** Keeps the trailers well below the 64 KiB of headers that an HTTP/2 peer takes by default. */
const MESSAGE_LIMIT = 2048;

/**
 * What a failed call ends with, as agent.proto describes it: the sentence, and trailing metadata. A code that
 * has no status of its own is FAILED_PRECONDITION; an error that is no CaissonError is a defect of the agent and logged
 * with its stack.
 */
export function toStatus(error: unknown): ServerErrorResponse & Partial<StatusObject> {
  const failure = asCaissonError(error);
  const metadata = new Metadata();
  for (const [name, value] of toMetadata(failure)) metadata.set(name, value);
  // Half a surrogate pair cannot be percent-encoded, and a whole one may have been cut.
  const details = failure.message.slice(0, MESSAGE_LIMIT).toWellFormed();
  return {
    name: failure.name,
    message: details,
    code: STATUS[failure.code] ?? status.FAILED_PRECONDITION,
    details,
    metadata,
  };
}

function asCaissonError(error: unknown): CaissonError {
  if (error instanceof CaissonError) return error;
  const text = error instanceof Error ? error.message : String(error);
  log("error", `unexpected: ${error instanceof Error ? error.stack : text}`);
  return new CaissonError("CAISSON_E_INTERNAL", `the agent failed unexpectedly: ${text}`, { cause: error });
}
