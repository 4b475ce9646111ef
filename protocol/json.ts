/**
 * JSON with exact 64-bit integers, which OCI configurations hold (RLIM_INFINITY is 2^64-1, seccomp compares 64-bit
 * arguments): an integer beyond 2^53 is read as a bigint and a bigint is written as a plain number.
 */

/** Long enough to be beyond 2^53; a match inside a string only costs time. */
const LONG_NUMBER = /\d{16}/;
const INTEGER = /^-?\d+$/;

// V8 has both; TypeScript 7's library does not declare them yet.
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
) => unknown;

/** The value of a JSON text; throws SyntaxError as JSON.parse does. */
export function parseJson(text: string): unknown {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return parseWithSource(text, (_key, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && INTEGER.test(source)
      ? BigInt(source)
      : value,
  );
}

/** The JSON text of a value; `indent` as in JSON.stringify. */
export function stringifyJson(value: unknown, indent?: string | number): string {
  return JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === "bigint" ? rawJSON(item.toString()) : item),
    indent,
  );
}
