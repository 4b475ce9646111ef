import { closeSync } from "node:fs";
import type { NetlinkSocket } from "../../native/posix/netlink.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { formatError } from "../errors.ts";
import { log } from "../log.ts";
import type { NetworkDevice } from "../vm/spec.ts";
import { bringTap, closeDeviceTap, type DeviceTap, openDeviceTap, type TapLink } from "./taps.ts";

/** The network of a VM that another process has started: QEMU has the taps, which are where that process was. */
export interface LentNetwork {
  /** Descriptor of the network namespace. */
  namespace: number;
  /** By the devices' numbers. */
  taps: readonly TapLink[];
}

/** The taps of a VM's network devices, by the devices' numbers. */
export class VmTaps {
  readonly #taps: TapLink[];
  /** Those that are in the lender's network namespace still. */
  readonly #away: Set<TapLink>;
  readonly #lender: number | undefined;
  /** Those that QEMU is to be started with. */
  readonly #opened: DeviceTap[] = [];
  #open = true;

  /** @param lent taken over. */
  constructor(lent?: LentNetwork) {
    this.#taps = [...(lent?.taps ?? [])];
    this.#away = new Set(lent?.taps);
    this.#lender = lent?.namespace;
  }

  get count(): number {
    return this.#taps.length;
  }

  get links(): readonly TapLink[] {
    return this.#taps;
  }

  get devices(): NetworkDevice[] {
    return this.#opened.map(({ device }) => device);
  }

  /** The indexes of the interfaces that are in our network namespace. */
  get indexes(): number[] {
    return this.#taps.filter((tap) => !this.#away.has(tap)).map(({ index }) => index);
  }

  /** One more, before the VM starts. Throws as openDeviceTap. */
  add(isTemporary: boolean): void {
    const tap = openDeviceTap(isTemporary);
    this.#taps.push(tap);
    this.#opened.push(tap);
  }

  /** For an interface that comes once the VM runs: no device can be added then. A host without taps can do without. */
  addSpare(isTemporary: boolean): void {
    try {
      this.add(isTemporary);
    } catch (error) {
      log.debug(`the VM has no network device: ${formatError(error)}`);
    }
  }

  /** The index of a device's interface, if it is in our network namespace. */
  indexOf(device: number | undefined): number | undefined {
    const tap = this.#taps[device ?? -1];
    return tap === undefined || this.#away.has(tap) ? undefined : tap.index;
  }

  /** A device's tap, in our network namespace, which the socket is of. Throws as bringTap. */
  at(device: number, socket: NetlinkSocket): TapLink {
    const tap = this.#taps[device];
    if (tap === undefined) throw new CaissonError("CAISSON_E_INTERNAL", `the VM has no network device ${device}`);
    if (this.#lender === undefined || !this.#away.has(tap)) return tap;
    const brought = bringTap(tap, this.#lender, socket);
    this.#away.delete(tap);
    this.#taps[device] = brought;
    return brought;
  }

  /** Closes the taps here, once QEMU has them: they then go with QEMU. May be called again. */
  release(): void {
    for (const tap of this.#opened.splice(0)) closeDeviceTap(tap);
  }

  /** May be called again. */
  close(): void {
    this.release();
    if (this.#open && this.#lender !== undefined) closeSync(this.#lender);
    this.#open = false;
  }
}
