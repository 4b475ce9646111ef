import { createServer, type Server } from "node:net";
import { CaissonError } from "../../protocol/errors.ts";
import { serveControl } from "../control/server.ts";
import { shellHandlers } from "../daemon/shell-handlers.ts";
import type { Guest } from "../sandbox/guest.ts";
import { measureGuest } from "../sandbox/measure.ts";
import type { ShimPod } from "./pod.ts";

/**
 * Serves what operators ask of a sandbox, whoever started it (control/protocol.ts); tasks are containerd's affair.
 * Rejects with Node's system error when the socket cannot be made.
 */
export async function listenForOperators(path: string, pod: ShimPod): Promise<Server> {
  const server = createServer((connection) =>
    serveControl(connection, () => ({
      ...shellHandlers(() => guestOf(pod)),
      logFiles: async () => (await guestOf(pod)).logFiles,
      measure: async () => measureGuest(await guestOf(pod)),
    })),
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  return server;
}

async function guestOf(pod: ShimPod): Promise<Guest> {
  const guest = await pod.opened?.guest;
  if (guest !== undefined) return guest;
  throw new CaissonError("CAISSON_E_STATE", "the sandbox has no VM: it has not started, or has ended");
}
