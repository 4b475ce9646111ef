/** What daemons do with Node.js, done once: V8 has compiled it then, and a snapshot that cannot do it is of no use. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { socketpair } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { connectAgent } from "../guest/agent/connect.ts";
import { sha256 } from "../text/digest.ts";

/** gRPC's UNIMPLEMENTED, which no agent answers to that call. */
const REFUSED = { ":status": 200, "content-type": "application/grpc", "grpc-status": "12" };

/** Rejects with whatever does not work. */
export async function exercise(): Promise<void> {
  await sleep(1);
  await readFile("/proc/self/status");
  process.getBuiltinModule("node:child_process");
  sha256("");
  // A daemon that is started has this module, too, and loads no more than it needs.
  const server = process.getBuiltinModule("node:http2").createServer();
  server.on("stream", (stream) => stream.respond(REFUSED, { endStream: true }));
  const ends = socketpair().map((fd) => new Socket({ fd }));
  const closed = Promise.all(ends.map((end) => once(end, "close")));
  const [ours, theirs] = ends as [Socket, Socket];
  server.emit("connection", theirs);
  const agent = await connectAgent(ours);
  const answer = await agent.call("check", {}).then(
    () => undefined,
    (error: unknown) => error,
  );
  agent.close();
  for (const end of ends) end.destroy();
  await closed;
  server.close();
  if (!(answer instanceof CaissonError)) throw new Error(`an agent that refuses a call was heard as: ${answer}`);
}
