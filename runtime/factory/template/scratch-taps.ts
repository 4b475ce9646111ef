import { closeSync, openSync } from "node:fs";
import { constants, openTap, setns, unshare } from "../../../native/posix/index.ts";
import type { NetworkDevice } from "../../vm/spec.ts";

/**
 * As many taps in a network namespace that nobody else is in, for a template to be made with: the guest's driver settles on
 * its features with what is behind the device, and no packet of a template's may reach anybody.
 */
export class ScratchTaps implements Disposable {
  readonly devices: readonly NetworkDevice[];

  /** @throws when the host gives no taps. */
  constructor(count: number) {
    this.devices = count === 0 ? [] : open(count);
  }

  [Symbol.dispose](): void {
    for (const { tapFd } of this.devices) closeSync(tapFd);
  }
}

/** The namespace stays for as long as one of its taps is open. */
function open(count: number): NetworkDevice[] {
  const own = openSync("/proc/thread-self/ns/net", "r");
  const devices: NetworkDevice[] = [];
  try {
    unshare(constants.CLONE_NEWNET);
    while (devices.length < count) devices.push({ tapFd: openTap("scratch%d").fd });
    return devices;
  } catch (error) {
    for (const { tapFd } of devices) closeSync(tapFd);
    throw error;
  } finally {
    setns(own, constants.CLONE_NEWNET);
    closeSync(own);
  }
}
