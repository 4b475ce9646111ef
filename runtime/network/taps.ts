/** The taps through which the VM's network devices reach a network namespace. */
import { closeSync, openSync } from "node:fs";
import { openTap, type Tap } from "../../native/posix/index.ts";
import { NetlinkSocket } from "../../native/posix/netlink.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../errors.ts";
import type { NetworkDevice } from "../vm/spec.ts";
import { number, text } from "./attributes.ts";
import { IFLA, ifinfomsg, RTM_NEWLINK } from "./link.ts";
import { inOpenNetworkNamespace } from "./namespace.ts";
import { TAP_PREFIX } from "./selection.ts";
import { readLinks } from "./survey.ts";
import { transact } from "./transact.ts";

export const VHOST_NET = "/dev/vhost-net";

/** A tap by its interface. */
export type TapLink = Pick<Tap, "index" | "name">;

/** One device's tap. */
export interface DeviceTap extends TapLink {
  /** Descriptors of this process. */
  device: NetworkDevice;
}

/**
 * A tap in the calling thread's network namespace, not up yet.
 * @param isTemporary whether the namespace goes with this process. The tap then goes with it, in the background; else with
 *   its last descriptor, ours or QEMU's, which takes a moment of the sandbox's end.
 * @throws CAISSON_E_NETWORK when the host gives none.
 */
export function openDeviceTap(isTemporary: boolean): DeviceTap {
  let tap: Tap;
  try {
    tap = openTap(`${TAP_PREFIX}%d`, isTemporary);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_NETWORK", systemErrorSentence("make a tap interface", cause), {
      cause,
      remedy: "Load the module with `modprobe tun`.",
    });
  }
  const vhostFd = openVhostNet();
  const { fd, index, name } = tap;
  return { index, name, device: { tapFd: fd, ...(vhostFd === undefined ? {} : { vhostFd }) } };
}

/**
 * Moves a tap into the calling thread's network namespace.
 * @param socket of that namespace. @throws CAISSON_E_NETWORK when the kernel refuses.
 */
export function bringTap(tap: TapLink, from: number, socket: NetlinkSocket): TapLink {
  const here = openSync("/proc/thread-self/ns/net", "r");
  try {
    const mac = inOpenNetworkNamespace(from, () => {
      using theirs = new NetlinkSocket();
      const link = readLinks(theirs).find(({ index }) => index === tap.index);
      const attributes = [number(IFLA.NET_NS_FD, here), text(IFLA.IFNAME, `${TAP_PREFIX}%d`)];
      const doing = `move the tap interface ${tap.name}`;
      transact(theirs, [{ type: RTM_NEWLINK, flags: 0, header: ifinfomsg(tap.index), attributes, doing }]);
      return link?.mac;
    });
    const moved = readLinks(socket).find((link) => mac !== undefined && link.mac.equals(mac));
    if (moved === undefined) {
      throw new CaissonError("CAISSON_E_NETWORK", `the tap interface ${tap.name} is gone: its VM has ended`);
    }
    return { index: moved.index, name: moved.name };
  } finally {
    closeSync(here);
  }
}

export function closeDeviceTap({ device: { tapFd, vhostFd } }: DeviceTap): void {
  closeSync(tapFd);
  if (vhostFd !== undefined) closeSync(vhostFd);
}

/** The kernel's own virtio-net back end, where there is one: without it QEMU copies the packets. */
function openVhostNet(): number | undefined {
  try {
    return openSync(VHOST_NET, "r+");
  } catch {
    return undefined;
  }
}
