import type { Dump, Link } from "./dump.ts";
import { contentRequests, type Devices, linkRequests, moveRequests } from "./guest-requests.ts";
import { encodeBatch, type Request } from "./message.ts";

/** Requests for the guest's kernel, in one network namespace of the guest. */
export interface GuestRequests {
  /** 0: the sandbox's own; else the one of this process of the guest. */
  pid: number;
  requests: readonly Request[];
}

/** What the guest knows of the namespace's network: it is told nothing twice. */
export class ToldNetwork {
  /** Interfaces that are in the container's own network namespace in the guest. */
  readonly #moved = new Set<number>();
  /** The requests that the guest has carried out. */
  readonly #told = new Set<string>();
  readonly #links = new Map<number, string>();

  /** @returns what the guest does not know yet, in the network namespace of that process (0: the guest's own). */
  tell(dump: Dump, devices: Devices, pid: number): GuestRequests[] {
    const present = dump.links.filter(({ index }) => devices.has(index));
    const toMove = pid === 0 ? [] : present.filter(({ index }) => !this.#moved.has(index));
    for (const link of toMove) {
      this.#moved.add(link.index);
      this.#changed(link);
    }
    const staying = present.filter((link) => !toMove.includes(link) && this.#changed(link));
    const steps: GuestRequests[] = [
      {
        pid: 0,
        requests: [
          ...this.#untold(linkRequests({ ...dump, links: toMove }, devices)),
          ...moveRequests(toMove, devices, pid),
        ],
      },
      {
        pid,
        requests: this.#untold([
          ...linkRequests({ ...dump, links: staying }, devices),
          ...contentRequests(dump, devices),
        ]),
      },
    ];
    return steps.filter(({ requests }) => requests.length > 0);
  }

  /**
   * Whether the link itself is other than the guest was told, which refuses most changes of a link that is up. What we have
   * changed ourselves does not count (connecting one gives it a queue's length), nor does a link-local address, which comes
   * only after the link is up: the guest has made the same by itself.
   */
  #changed({ index, name, mac, mtu }: Link): boolean {
    const shape = JSON.stringify([name, mac, mtu]);
    const changed = this.#links.get(index) !== shape;
    this.#links.set(index, shape);
    return changed;
  }

  #untold(requests: readonly Request[]): Request[] {
    return requests.filter((request) => {
      const bytes = encodeBatch([request]).toString("latin1");
      const known = this.#told.has(bytes);
      this.#told.add(bytes);
      return !known;
    });
  }
}
