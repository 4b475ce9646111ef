/** What is wrong with a configuration, field by field; a check yields any number of them. */
import { CaissonError } from "../../../protocol/errors.ts";

export interface Problem {
  field: string;
  /** Follows the field's name: "must be an absolute path, not \"rootfs\"". */
  message: string;
}

/** More than these are counted, not listed: the message has to stay readable in a log line. */
const MOST_LISTED = 10;

/**
 * The CAISSON_E_CONFIG_INVALID that tells every problem of `document` (a path, or what it is); its `field` is the first
 * problem's.
 */
export function invalidConfig(document: string, problems: readonly Problem[]): CaissonError {
  const listed = problems.slice(0, MOST_LISTED).map(({ field, message }) => `${field}: ${message}`);
  const more = problems.length - listed.length;
  if (more > 0) listed.push(`and ${more} more`);
  const field = problems[0]?.field;
  return new CaissonError("CAISSON_E_CONFIG_INVALID", `${document} is not valid: ${listed.join("; ")}`, {
    ...(field !== undefined && { field }),
  });
}
