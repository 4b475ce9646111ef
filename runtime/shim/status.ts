import { CaissonError, type ErrorCode } from "../../protocol/errors.ts";
import { codeOf, formatError } from "../text/errors.ts";
import { StatusCode, StatusError } from "../ttrpc/status.ts";

/** What engines tell apart; all else is "unknown", as runc's errors are. */
const CODES: Partial<Record<ErrorCode, number>> = {
  CAISSON_E_NOT_FOUND: StatusCode.notFound,
  CAISSON_E_ID_IN_USE: StatusCode.alreadyExists,
  CAISSON_E_STATE: StatusCode.failedPrecondition,
  CAISSON_E_USAGE: StatusCode.invalidArgument,
  CAISSON_E_ID_INVALID: StatusCode.invalidArgument,
  CAISSON_E_CONFIG_INVALID: StatusCode.invalidArgument,
  CAISSON_E_CONFIG_UNSUPPORTED: StatusCode.unimplemented,
  CAISSON_E_TIMEOUT: StatusCode.deadlineExceeded,
};

/** An error as a caller of the Task service gets it: gRPC's code, and the sentence with its remedy. */
export function toStatus(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  const code = error instanceof CaissonError ? CODES[codeOf(error)] : undefined;
  return new StatusError(code ?? StatusCode.unknown, formatError(error), { cause: error });
}
