import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import type { AttachNetworkDeviceRequest, DetachNetworkDeviceRequest } from "../../protocol/generated/agent.ts";
import { SLOT_DRIVER, slotDevice } from "./slots.ts";

const INTERFACES = "/sys/class/net";
const DRIVER = "/sys/bus/virtio/drivers/virtio_net";
/** A PCI device is found when the guest's kernel has heard of it. */
const APPEARS_WITHIN_MS = 20_000;
const POLL_MS = 5;

/** Network devices that come to this guest and go while it runs. */
export class NetworkDevices {
  /** By address: devices of virtio that the VM has and the guest has given up. */
  readonly #idle = new Map<string, string>();

  /** @returns the index of the device's interface. @throws CaissonError CAISSON_E_NETWORK when none appears. */
  async attach({ mac, slotAddress }: Pick<AttachNetworkDeviceRequest, "mac" | "slotAddress">): Promise<number> {
    const address = addressText(mac);
    try {
      const idle = this.#idle.get(address);
      if (idle !== undefined) await writeFile(`${DRIVER}/bind`, idle);
      else if (slotAddress !== 0n) await bindSlot(slotDevice(slotAddress));
      this.#idle.delete(address);
      return await appears(address);
    } catch (cause) {
      throw failed("use", address, cause);
    }
  }

  /** Gives a device up. @throws CaissonError CAISSON_E_NETWORK. */
  async detach({ index, mac, slotAddress, stays }: DetachNetworkDeviceRequest): Promise<void> {
    const address = addressText(mac);
    try {
      // The slot's driver takes its device along.
      if (slotAddress !== 0n) return await writeFile(`${SLOT_DRIVER}/unbind`, slotDevice(slotAddress));
      const name = interfaces().find((each) => Number(attribute(each, "ifindex")) === index);
      if (name === undefined) throw new Error(`there is no interface ${index}`);
      const device = basename(realpathSync(`${INTERFACES}/${name}/device`));
      await writeFile(`${DRIVER}/unbind`, device);
      if (stays) this.#idle.set(address, device);
    } catch (cause) {
      throw failed("give up", address, cause);
    }
  }
}

async function bindSlot(slot: string): Promise<void> {
  if (!existsSync(`${SLOT_DRIVER}/${slot}`)) await writeFile(`${SLOT_DRIVER}/bind`, slot);
}

async function appears(address: string): Promise<number> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const name = interfaces().find((each) => attribute(each, "address") === address);
    if (name !== undefined) return Number(attribute(name, "ifindex"));
    if (waitedMs >= APPEARS_WITHIN_MS) throw new Error("its interface has not appeared");
    await sleep(POLL_MS);
  }
}

function interfaces(): string[] {
  return readdirSync(INTERFACES);
}

/** Undefined for an interface that has gone. */
function attribute(name: string, file: string): string | undefined {
  try {
    return readFileSync(`${INTERFACES}/${name}/${file}`, "latin1").trim();
  } catch {
    return undefined;
  }
}

function addressText(mac: Uint8Array): string {
  return Buffer.from(mac)
    .toString("hex")
    .replace(/(..)(?!$)/g, "$1:");
}

function failed(what: string, address: string, cause: unknown): CaissonError {
  const message = `the guest cannot ${what} the network device ${address}: ${(cause as Error).message}`;
  return new CaissonError("CAISSON_E_NETWORK", message, { cause });
}
