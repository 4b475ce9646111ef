import type { Duplex } from "node:stream";
import type { Agent } from "./client.ts";

/** A client for the agent at the other end. It takes gRPC, which is loaded for the first one: QEMU starts meanwhile. */
export async function connectAgent(connection: Duplex): Promise<Agent> {
  const client = await import("./client.ts");
  return new client.Agent(connection);
}
