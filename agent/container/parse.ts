import { CaissonError } from "../../protocol/errors.ts";
import { parseJson } from "../../protocol/json.ts";

/** The value of a JSON text that the host has sent. @throws CaissonError CAISSON_E_CONFIG_INVALID; `what` names the text. */
export function parse(json: Uint8Array, what: string): unknown {
  try {
    return parseJson(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8"));
  } catch (cause) {
    throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${what} is no JSON: ${(cause as Error).message}`, { cause });
  }
}
