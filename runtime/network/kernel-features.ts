/** What this host has for the network of a VM. */
import { closeSync, openSync } from "node:fs";
import { NetlinkSocket } from "../../native/posix/netlink.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { type Link, readLinks } from "./dump.ts";
import { inNetworkNamespace } from "./namespace.ts";
import { closeDeviceTap, openDeviceTap, VHOST_NET } from "./taps.ts";
import { connect } from "./tc-redirect.ts";
import { ASK_CHECK } from "./transact.ts";

/** Why something cannot be used, and what to do. */
export interface Problem {
  why: string;
  remedy: string;
}

/** Connects two taps in a network namespace of their own, as interfaces are; undefined when that works. */
export function networkProblem(): Problem | undefined {
  try {
    inNetworkNamespace(undefined, tryConnection);
    return undefined;
  } catch (error) {
    return { why: (error as Error).message, remedy: remedyOf(error) };
  }
}

/** A refused request's own remedy is to ask here. */
function remedyOf(error: unknown): string {
  const own = error instanceof CaissonError ? error.remedy : undefined;
  return own === undefined || own === ASK_CHECK ? MODULES : own;
}

const MODULES = "Load what the kernel lacks: `modprobe -a sch_ingress cls_u32 act_mirred`.";

function tryConnection(): void {
  using taps = new DisposableStack();
  const open = () => taps.adopt(openDeviceTap(true), closeDeviceTap);
  const [stand, tap] = [open(), open()];
  using socket = new NetlinkSocket();
  const link = readLinks(socket).find(({ index }) => index === stand.index) as Link;
  connect(socket, link, tap, []);
}

/** Undefined when the kernel moves the packets; else QEMU does, which takes more time. */
export function vhostNetProblem(): Problem | undefined {
  try {
    closeSync(openSync(VHOST_NET, "r+"));
    return undefined;
  } catch (error) {
    return {
      why: `${VHOST_NET} cannot be opened: ${(error as Error).message}`,
      remedy: "Load the module with `modprobe vhost_net`; without it QEMU moves the packets, which is slower.",
    };
  }
}
