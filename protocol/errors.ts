/**
 * Permanent error codes, shared by the host and the guest. docs/errors.md explains each; a code never changes its
 * meaning, the prose around it may.
 */
export const ERROR_CODES = [
  "CAISSON_E_USAGE",
  "CAISSON_E_CONFIG_INVALID",
  "CAISSON_E_CONFIG_UNSUPPORTED",
  "CAISSON_E_BUNDLE",
  "CAISSON_E_SETTINGS",
  "CAISSON_E_ID_INVALID",
  "CAISSON_E_ID_IN_USE",
  "CAISSON_E_NOT_FOUND",
  "CAISSON_E_STATE",
  "CAISSON_E_COMMAND_NOT_FOUND",
  "CAISSON_E_COMMAND_NOT_EXECUTABLE",
  "CAISSON_E_PROCESS_SETUP",
  "CAISSON_E_HOOK",
  "CAISSON_E_HOST",
  "CAISSON_E_IMAGE",
  "CAISSON_E_ACCELERATOR",
  "CAISSON_E_TRANSPORT",
  "CAISSON_E_TEMPLATE",
  "CAISSON_E_VM_START",
  "CAISSON_E_VM_DIED",
  "CAISSON_E_AGENT",
  "CAISSON_E_TIMEOUT",
  "CAISSON_E_STORAGE",
  "CAISSON_E_NETWORK",
  "CAISSON_E_CGROUP",
  "CAISSON_E_INTERNAL",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface CaissonErrorOptions {
  cause?: unknown;
  /** The OCI or settings field that caused it, e.g. `mounts[3].options[0]`. */
  field?: string;
  /** What the user can do about it, one sentence. */
  remedy?: string;
}

/** The one error class of the project: a permanent code, a whole sentence, and where known the field and a remedy. */
export class CaissonError extends Error {
  override readonly name = "CaissonError";
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, options: CaissonErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.remedy = options.remedy;
  }
}
