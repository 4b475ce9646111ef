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

/** An error as it crosses a connection; what it was caused by is told in its message. */
export interface WireError {
  /** A code of ERROR_CODES; the other side may send any text. */
  code: string;
  message: string;
  field?: string | undefined;
  remedy?: string | undefined;
}

/** The error at the other end; a code that is not known here is CAISSON_E_INTERNAL. */
export function fromWireError({ code, message, field, remedy }: WireError): CaissonError {
  return new CaissonError(isErrorCode(code) ? code : "CAISSON_E_INTERNAL", message, {
    ...(field !== undefined && { field }),
    ...(remedy !== undefined && { remedy }),
  });
}

export function isErrorCode(text: string): text is ErrorCode {
  return (ERROR_CODES as readonly string[]).includes(text);
}

/** The names of a failed call's trailing metadata (agent.proto); the message is the gRPC status's own. */
const METADATA = { code: "caisson-code", field: "caisson-field", remedy: "caisson-remedy" } as const;

/** Keeps the trailers well below the 64 KiB of headers that an HTTP/2 peer takes by default. */
const LONGEST_VALUE = 512;

/** The trailing metadata of a failed call, which holds printable ASCII only: all else is percent-encoded. */
export function toMetadata({ code, field, remedy }: WireError): [name: string, value: string][] {
  const values: [string, string | undefined][] = [
    [METADATA.code, code],
    [METADATA.field, field],
    [METADATA.remedy, remedy],
  ];
  return values.flatMap(([name, value]) => (value === undefined ? [] : [[name, encodeValue(value)]]));
}

/**
 * The error that a failed call's metadata and message tell of; undefined when the other side has given no code of ours.
 * @param get a value of the metadata by its name.
 * @param clean makes what the other side has written fit to be shown.
 */
export function fromMetadata(
  get: (name: string) => unknown,
  message: string,
  clean: (text: string) => string,
): CaissonError | undefined {
  const text = (name: string): string | undefined => {
    const value = get(name);
    return typeof value === "string" ? clean(decodeValue(value)) : undefined;
  };
  const code = text(METADATA.code) ?? "";
  if (!isErrorCode(code)) return undefined;
  return fromWireError({ code, message: clean(message), field: text(METADATA.field), remedy: text(METADATA.remedy) });
}

/** Cut between two characters, none of which is half a surrogate pair. */
function encodeValue(value: string): string {
  let encoded = "";
  for (const character of value.toWellFormed()) {
    const more = /[\x20-\x24\x26-\x7e]/.test(character) ? character : encodeURIComponent(character);
    if (encoded.length + more.length > LONGEST_VALUE) break;
    encoded += more;
  }
  return encoded;
}

/** What is badly encoded is shown as it came. */
function decodeValue(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
