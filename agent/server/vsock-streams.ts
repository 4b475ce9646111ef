import { closeSync } from "node:fs";
import { acceptVsock, remoteAddress, VMADDR_CID_HOST } from "../../native/vsock/index.ts";
import { AGENT_STREAM_VSOCK_PORT, STREAM_PORTS } from "../../protocol/guest-contract.ts";
import { log } from "../log.ts";

/** The host's connections for streams, by the ports that they come from. */
const connections = new Map<number, number>();

/** Takes such connections, from the host and no more than it makes; false when the kernel has no AF_VSOCK. */
export function serveVsockStreams(): boolean {
  try {
    acceptVsock(AGENT_STREAM_VSOCK_PORT, take, (error) => log("error", `vsock streams: ${error.message}`));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAFNOSUPPORT") return false;
    throw error;
  }
}

/** The descriptor of one of them. */
export function vsockStream(number: number): number | undefined {
  return connections.get(number);
}

function take(fd: number): void {
  try {
    const { cid, port } = remoteAddress(fd);
    if (cid === VMADDR_CID_HOST && connections.size < STREAM_PORTS) {
      connections.set(port, fd);
      return;
    }
    log("warning", `refused a vsock connection for a stream from cid ${cid}`);
  } catch {
    // It has ended already.
  }
  closeSync(fd);
}
