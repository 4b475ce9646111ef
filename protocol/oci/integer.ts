/** A 64-bit integer: a number where JavaScript holds it exactly, else a bigint (see protocol/json.ts). */
export type Int64 = number | bigint;
