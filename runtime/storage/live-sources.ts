import { GUEST_SOCKETS, GUEST_VOLUMES } from "../../protocol/guest-contract.ts";
import type { BindSource } from "./bind-source.ts";
import { SharedSocket } from "./shared-socket.ts";
import { FIRST_LIMITS, isReplacedAsAWhole, readVolume, type SmallVolume } from "./small-volume.ts";

let lastNumber = 0;

/**
 * Sources of a container's bind mounts that the shared directory is not enough for, since the guest's kernel does not know what goes
 * on in them: sockets, and small volumes whose watchers are to be told what the host changes.
 */
export class LiveSources {
  readonly sockets: SharedSocket[] = [];
  readonly volumes: SmallVolume[] = [];
  readonly #paths = new Map<number, string>();

  /** Takes a source if it is one. @param path where this process sees it. @throws the system's error. */
  add({ index, name, options, isSocket, isDirectory }: BindSource, path: string): void {
    const { field, readOnly } = options;
    if (isSocket) {
      const guestPath = this.#place(index, GUEST_SOCKETS);
      this.sockets.push(new SharedSocket(path, { field, name, guestPath }));
    } else if (isDirectory && readOnly && isReplacedAsAWhole(path) && readVolume(path, FIRST_LIMITS) !== undefined) {
      this.volumes.push({ directory: path, guestPath: this.#place(index, GUEST_VOLUMES), field, name });
    }
  }

  /** Where the guest has a mount's source; undefined for one that is none of them. */
  pathOf(index: number): string | undefined {
    return this.#paths.get(index);
  }

  /** May be called again. */
  close(): void {
    for (const socket of this.sockets) socket.close();
  }

  #place(index: number, folder: string): string {
    lastNumber += 1;
    const path = `${folder}/${lastNumber}`;
    this.#paths.set(index, path);
    return path;
  }
}
