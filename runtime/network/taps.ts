/** The taps through which the VM's network devices reach a network namespace. */
import { closeSync, openSync } from "node:fs";
import { openTap, type Tap } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../text/errors.ts";
import type { NetworkDevice } from "../vm/spec.ts";
import { TAP_PREFIX } from "./selection.ts";

export const VHOST_NET = "/dev/vhost-net";

/** A tap by its interface. */
export type TapLink = Pick<Tap, "index" | "name">;

/** The tap of a device. */
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
