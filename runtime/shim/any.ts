/** Messages packed for containerd, which names types without protobuf's usual prefix (containerd/typeurl). */
import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import { CaissonError } from "../../protocol/errors.ts";
import type { Any, Timestamp } from "../../protocol/generated/containerd/types.ts";
import { parseJson } from "../../protocol/json.ts";

/** OCI's types go as JSON below this prefix. */
const OCI_PREFIX = "types.containerd.io/opencontainers/runtime-spec/1/";

export function packAny<T>(typeUrl: string, type: { encode(message: T): BinaryWriter }, message: T): Any {
  return { typeUrl, value: Buffer.from(type.encode(message).finish()) };
}

/** `what` as JSON, as a value of that OCI type. */
export function packOci(type: string, what: unknown): Any {
  return { typeUrl: `${OCI_PREFIX}${type}`, value: Buffer.from(JSON.stringify(what)) };
}

/** The JSON value of an OCI type. Throws CAISSON_E_USAGE when it holds another type, or nothing. */
export function unpackOci(type: string, any: Any | undefined): unknown {
  if (any?.typeUrl !== `${OCI_PREFIX}${type}`) {
    throw new CaissonError("CAISSON_E_USAGE", `an OCI ${type} is wanted, not "${any?.typeUrl ?? "nothing"}"`);
  }
  try {
    return parseJson(any.value.toString("utf8"));
  } catch (cause) {
    throw new CaissonError("CAISSON_E_USAGE", `the OCI ${type} is not JSON`, { cause });
  }
}

/** From Unix milliseconds. */
export function timestamp(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
