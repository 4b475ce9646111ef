import { CaissonError } from "../../protocol/errors.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import type { NetworkDevice } from "../vm/spec.ts";
import { closeDeviceTap, type DeviceTap, openDeviceTap, type TapLink } from "./taps.ts";

/** The taps of a VM's network devices, by the devices' numbers. */
export class VmTaps {
  readonly #taps: (TapLink | undefined)[] = [];
  /** The taps that QEMU is to be started with. */
  readonly #opened: DeviceTap[] = [];

  get count(): number {
    return this.#taps.length;
  }

  /** The numbers of the devices that there are not any more. */
  get absent(): number[] {
    return this.#taps.flatMap((tap, device) => (tap === undefined ? [device] : []));
  }

  get devices(): NetworkDevice[] {
    return this.#opened.map(({ device }) => device);
  }

  /** The interfaces' indexes. */
  get indexes(): number[] {
    return this.#taps.flatMap((tap) => tap?.index ?? []);
  }

  /** Opens one more tap, before the VM starts. Throws as openDeviceTap. */
  add(isTemporary: boolean): void {
    const tap = openDeviceTap(isTemporary);
    this.#taps.push(tap);
    this.#opened.push(tap);
  }

  /** Opens the tap of a device that is added to the VM while it runs; the caller closes it when QEMU has it. Throws as openDeviceTap. */
  open(device: number, isTemporary: boolean): DeviceTap {
    const tap = openDeviceTap(isTemporary);
    this.#taps[device] = tap;
    return tap;
  }

  /** The device is the VM's no longer, and its tap gone. */
  remove(device: number): void {
    if (device === this.#taps.length - 1) this.#taps.pop();
    else this.#taps[device] = undefined;
  }

  /** For an interface that comes once the VM runs: adding a device then takes longer. A host without taps can do without. */
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
