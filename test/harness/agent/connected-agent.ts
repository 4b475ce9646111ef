import { duplexPair } from "node:stream";
import type { TestContext } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { type AgentServer, AgentService } from "../../../protocol/generated/agent.ts";
import { Agent } from "../../../runtime/guest/agent/client.ts";

/** An Agent that talks to a grpc-js server with these handlers over an in-memory connection; both end with the test. */
export function connectedAgent(t: TestContext, handlers: Partial<AgentServer>): Agent {
  const server = new Server();
  server.addService(AgentService, handlers as AgentServer);
  const [hostSide, guestSide] = duplexPair();
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(guestSide);
  const agent = new Agent(hostSide);
  t.after(() => {
    agent.close();
    server.forceShutdown();
  });
  return agent;
}
