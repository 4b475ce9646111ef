import { existsSync } from "node:fs";
import { NetlinkSocket } from "../../native/posix/netlink.ts";
import type { NetworkChanges } from "../state/record.ts";
import { disconnect } from "./connection.ts";
import { ownLoopback } from "./loopback.ts";
import { inNetworkNamespace } from "./namespace.ts";
import { transact } from "./transact.ts";

/** Puts a network namespace back as it was, after its sandbox was killed. Nothing to do for one that is gone, or goes. */
export function restoreNetwork({ namespace, interfaces, loopback }: NetworkChanges): void {
  if (!existsSync(namespace)) return;
  try {
    using socket = inNetworkNamespace(namespace, () => new NetlinkSocket());
    disconnect(socket, interfaces, []);
    if (loopback === true) transact(socket, [ownLoopback(true)]);
  } catch (error) {
    if (existsSync(namespace)) throw error;
  }
}
