import type { Dump, Link } from "./dump.ts";
import { contentRequests, type Devices, linkRequests, moveRequests } from "./guest-requests.ts";
import { encodeBatch, type Request } from "./message.ts";
import { isAddressOrRoute, sameObject, undoing } from "./undoing.ts";

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
  /** The requests that the guest has carried out, by their bytes. */
  readonly #told = new Map<string, Request>();
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
        requests: [
          // A link may be given a name for the second time.
          ...linkRequests({ ...dump, links: staying }, devices),
          ...this.#untold(contentRequests(dump, devices)),
        ],
      },
    ];
    return steps.filter(({ requests }) => requests.length > 0);
  }

  /**
   * What the guest has in its own network namespace that the namespace has no longer, as requests that undo it. Where addresses go the kernel takes routes
   * along that it may still have to have: it is told of all routes again, and refuses those that it has.
   */
  takeBack(dump: Dump, devices: Devices): readonly Request[] {
    const wanted = contentRequests(dump, devices);
    const bytes = new Set(wanted.map(bytesOf));
    const undone: Request[] = [];
    for (const [key, request] of this.#told) {
      if (bytes.has(key)) continue;
      this.#told.delete(key);
      // What only has another lifetime is replaced when it is told.
      const undo = wanted.some((each) => sameObject(each, request)) ? undefined : undoing(request);
      if (undo !== undefined) undone.push(undo);
    }
    if (!undone.some(isAddressOrRoute)) return undone;
    return [...undone, ...wanted.filter((request) => isAddressOrRoute(request) && this.#told.has(bytesOf(request)))];
  }

  /** The link is the guest's no longer. @returns whether it is in the container's own network namespace. */
  forget(link: number): boolean {
    this.#links.delete(link);
    return this.#moved.delete(link);
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
      const key = bytesOf(request);
      const known = this.#told.has(key);
      this.#told.set(key, request);
      return !known;
    });
  }
}

function bytesOf(request: Request): string {
  return encodeBatch([request]).toString("latin1");
}
