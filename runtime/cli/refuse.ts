import { CaissonError } from "../../protocol/errors.ts";

/** Refuses a flag of runc's that cannot be honoured. */
export function refuse(flag: string, reason: string, remedy?: string): never {
  throw new CaissonError("CAISSON_E_USAGE", `${flag} is not supported: ${reason}`, {
    ...(remedy !== undefined && { remedy }),
  });
}
