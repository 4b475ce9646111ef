import { closeSync, openSync } from "node:fs";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../../native/vsock/index.ts";
import { AGENT_VSOCK_PORT } from "../../protocol/guest-contract.ts";
import { randomBytes } from "../text/digest.ts";

export const VHOST_VSOCK = "/dev/vhost-vsock";

/** Between two connections while the guest boots: nothing tells us when it listens. */
const RETRY_MS = 20;
/** The host keeps a connection's request until a booting guest's driver takes it. */
const CONNECT_LIMIT_MS = 5_000;
/** What a guest that is not there yet, has no driver yet, or whose agent does not listen yet, is answered with. */
const NOT_YET = new Set(["ENODEV", "ECONNRESET", "ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"]);

/** Why vsock cannot be used on this host, as the end of a sentence; undefined when it can (vsock(7)). */
export function vsockProblem(): { why: string; remedy: string } | undefined {
  try {
    closeSync(openSync(VHOST_VSOCK, "r+"));
    return undefined;
  } catch (error) {
    return {
      why: `${VHOST_VSOCK} cannot be opened: ${(error as Error).message}`,
      remedy: "Load the module with `modprobe vhost_vsock`; without it virtio-serial is used, which needs nothing.",
    };
  }
}

/** A guest address at random; whether another VM has it shows when QEMU asks for it. 0 to 2 and 2^32 - 1 are taken. */
export function randomCid(): number {
  return 0x10000 + (randomBytes(6).readUIntBE(0, 6) % (0xffffffff - 0x10000));
}

/**
 * Connects to the agent, trying again until it listens.
 * @throws the signal's reason, or the error of a connection that no waiting mends (EAFNOSUPPORT, EMFILE).
 */
export async function connectToGuest(cid: number, signal: AbortSignal): Promise<Duplex> {
  for (;;) {
    try {
      return await connect({
        cid,
        port: AGENT_VSOCK_PORT,
        timeoutMs: CONNECT_LIMIT_MS,
        signal,
        transientChunks: true,
      });
    } catch (error) {
      if (!NOT_YET.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
    await sleep(RETRY_MS, undefined, { signal });
  }
}
