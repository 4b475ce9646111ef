import { BootstrapParams } from "../../protocol/generated/containerd/options.ts";
import { Any } from "../../protocol/generated/containerd/types.ts";

/** What containerd gives `start` on standard input. */
export interface StartInput {
  /** The runtime's options. */
  options: Any | undefined;
  /** The newest form of the answer that containerd knows: 1 is the bare address. */
  version: number;
}

/**
 * Reads the standard input of `start`. Up to containerd 2.2 it holds the options, from 2.3 on bootstrap parameters with
 * the options among them: those say for whom they are, which tells them apart.
 * @param maxVersion MAX_SHIM_VERSION of the environment, which containerd 1.6 does not set.
 */
export function readStartInput(
  input: Uint8Array,
  { id, namespace }: { id: string; namespace: string },
  maxVersion: string | undefined,
): StartInput {
  const params = decode(BootstrapParams, input);
  if (params !== undefined && params.instanceId === id && params.namespace === namespace) {
    return { options: params.extensions.map(({ value }) => value).find((value) => value !== undefined), version: 3 };
  }
  const options = input.length === 0 ? undefined : decode(Any, input);
  const known = Number(maxVersion ?? "1");
  return { options, version: Number.isInteger(known) ? Math.min(Math.max(known, 1), 3) : 1 };
}

/** The answer of `start`: the bare address, or JSON, which containerd 1.7 and later take. */
export function formatStartAnswer(address: string, version: number): string {
  return version < 2 ? address : JSON.stringify({ version, address, protocol: "ttrpc" });
}

function decode<T>(message: { decode(input: Uint8Array): T }, input: Uint8Array): T | undefined {
  try {
    return message.decode(input);
  } catch {
    return undefined;
  }
}
