/**
 * AF_VSOCK for Node with the interface of node:net, and the stream it is made of, which works over any descriptor that
 * can be polled.
 */
export { acceptVsock, remoteAddress } from "./accept.ts";
export { Acceptor } from "./acceptor.ts";
export type { VsockAddress } from "./addon.ts";
export { type Carried, Carry, type CarryOptions } from "./carry.ts";
export { PollStream } from "./poll-stream.ts";
export type { PollStreamOptions } from "./poll-stream-options.ts";
export { createServer, type VsockListenOptions, VsockServer } from "./server.ts";
export {
  connect,
  VMADDR_CID_ANY,
  VMADDR_CID_HOST,
  VMADDR_CID_LOCAL,
  type VsockConnectOptions,
  VsockSocket,
} from "./socket.ts";
export { discardUntilHungUp } from "./wait.ts";
