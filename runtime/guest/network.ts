/** Telling a guest's kernel what its network is. */
import { CaissonError } from "../../protocol/errors.ts";
import { encodeBatch, type Request } from "../network/message.ts";
import type { GuestRequests } from "../network/told.ts";
import type { Agent } from "./agent/client.ts";

const LIMIT_MS = 30_000;

/** @throws CAISSON_E_NETWORK that says what the guest's kernel refused. */
export async function updateNetwork(agent: Agent, { pid, requests }: GuestRequests): Promise<void> {
  try {
    await agent.call("updateNetwork", { pid, requests: encodeBatch(requests) }, { timeoutMs: LIMIT_MS });
  } catch (error) {
    throw explained(error, requests);
  }
}

/** The agent knows a request by its number only. */
export function explained(error: unknown, requests: readonly Request[]): unknown {
  if (!(error instanceof CaissonError) || error.code !== "CAISSON_E_NETWORK") return error;
  const index = /^requests\[(\d+)\]$/.exec(error.field ?? "")?.[1];
  const request = index === undefined ? undefined : requests[Number(index)];
  if (request === undefined) return error;
  return new CaissonError("CAISSON_E_NETWORK", `cannot ${request.doing} in the VM`, { cause: error });
}
