/**
 * The schema keyword `integer`: an integer of a C type. JSON schema's own `minimum` and `maximum` cannot tell 2^64-1
 * from 2^64, because JavaScript's numbers do not; protocol/json.ts reads such integers as bigint.
 */
import { _, type CodeKeywordDefinition, str } from "ajv";

const RANGES = {
  uint16: { minimum: 0, maximum: 65535, words: "an unsigned 16-bit integer" },
  int32: { minimum: -(2 ** 31), maximum: 2 ** 31 - 1, words: "a signed 32-bit integer" },
  uint32: { minimum: 0, maximum: 2 ** 32 - 1, words: "an unsigned 32-bit integer" },
  int64: { minimum: -(2n ** 63n), maximum: 2n ** 63n - 1n, words: "a signed 64-bit integer" },
  uint64: { minimum: 0n, maximum: 2n ** 64n - 1n, words: "an unsigned 64-bit integer" },
} as const;

export type IntegerType = keyof typeof RANGES;

export const integerKeyword: CodeKeywordDefinition = {
  keyword: "integer",
  schemaType: "string",
  error: { message: (cxt) => str`must be ${RANGES[cxt.schema as IntegerType].words}` },
  code(cxt) {
    const { data } = cxt;
    const { minimum, maximum } = RANGES[cxt.schema as IntegerType];
    if (typeof maximum === "number") {
      cxt.fail(_`!Number.isInteger(${data}) || ${data} < ${minimum} || ${data} > ${maximum}`);
      return;
    }
    // A safe integer is inside every 64-bit range but for its sign.
    const negative = minimum === 0n ? _`${data} < 0` : _`false`;
    const outside = _`${data} < BigInt(${String(minimum)}) || ${data} > BigInt(${String(maximum)})`;
    cxt.fail(_`typeof ${data} == "bigint" ? ${outside} : !Number.isSafeInteger(${data}) || ${negative}`);
  },
};
