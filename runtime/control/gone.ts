import { CaissonError } from "../../protocol/errors.ts";

/** No daemon listens where one should. */
export function noDaemon(cause: unknown): CaissonError {
  return new CaissonError("CAISSON_E_VM_DIED", "no sandbox daemon answers: it was killed or is just ending", { cause });
}

/** A daemon went away with a request. */
export function daemonLeft(cause?: unknown): CaissonError {
  return new CaissonError("CAISSON_E_VM_DIED", "the sandbox daemon ended before it answered", { cause });
}
