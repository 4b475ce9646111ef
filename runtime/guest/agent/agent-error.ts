/** What failed calls are told as. Whoever loads this loads nothing of gRPC: see connect.ts. */
import type { ServiceError, status } from "@grpc/grpc-js";
import { CaissonError, fromMetadata } from "../../../protocol/errors.ts";
import { printable } from "./printable.ts";

const DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED = 4;

/** Turns a failed call into the error it stands for. What the guest says is only believed where it has the right form. */
export function agentError(call: string, error: ServiceError): CaissonError {
  const told = fromMetadata((name) => error.metadata?.get(name)[0], error.details, printable);
  if (told !== undefined) return told;
  const details = printable(error.details);
  if (error.code === DEADLINE_EXCEEDED) {
    return new CaissonError("CAISSON_E_TIMEOUT", `the agent did not answer ${call}: ${details}`, { cause: error });
  }
  return new CaissonError("CAISSON_E_AGENT", `the agent could not carry out ${call}: ${details}`, { cause: error });
}
