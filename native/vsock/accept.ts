import { Acceptor } from "./acceptor.ts";
import { addon } from "./addon.ts";
import { VMADDR_CID_ANY } from "./socket.ts";

const BACKLOG = 16;

/**
 * Takes connections to an AF_VSOCK port as they are: non-blocking descriptors, which are the taker's.
 * @throws EADDRINUSE, EAFNOSUPPORT.
 */
export function acceptVsock(
  port: number,
  onConnection: (fd: number) => void,
  onError: (error: Error) => void,
): Acceptor {
  return new Acceptor(addon.listen(VMADDR_CID_ANY, port, BACKLOG), onConnection, onError);
}

/** Where a connection comes from. @throws ENOTCONN when it has ended. */
export const remoteAddress = addon.remoteAddress;
