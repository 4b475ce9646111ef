import { CaissonError } from "../../protocol/errors.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import type { NetworkDevice } from "../vm/spec.ts";
import { closeDeviceTap, type DeviceTap, openDeviceTap, type TapLink } from "./taps.ts";

/** The taps of a VM's network devices, by the devices' numbers. */
export class VmTaps {
  readonly #taps: TapLink[] = [];
  /** The taps that QEMU is to be started with. */
  readonly #opened: DeviceTap[] = [];

  get count(): number {
    return this.#taps.length;
  }

  get devices(): NetworkDevice[] {
    return this.#opened.map(({ device }) => device);
  }

  /** The interfaces' indexes. */
  get indexes(): number[] {
    return this.#taps.map(({ index }) => index);
  }

  /** Opens one more tap, before the VM starts. Throws as openDeviceTap. */
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

  /** The index of a device's interface, if there is such a device. */
  indexOf(device: number | undefined): number | undefined {
    return this.#taps[device ?? -1]?.index;
  }

  /** A device's tap. */
  at(device: number): TapLink {
    const tap = this.#taps[device];
    if (tap === undefined) throw new CaissonError("CAISSON_E_INTERNAL", `the VM has no network device ${device}`);
    return tap;
  }

  /** Closes the taps here, once QEMU has them: they then go with QEMU. May be called again. */
  release(): void {
    for (const tap of this.#opened.splice(0)) closeDeviceTap(tap);
  }
}
