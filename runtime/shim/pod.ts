import type { Any } from "../../protocol/generated/containerd/types.ts";
import { Pod, type PodOptions } from "../sandbox/pod.ts";
import { settingsOf } from "./options.ts";
import type { ShimPlaces } from "./places.ts";

/** The pod of a daemon, made when the first container, or the sandbox, is. */
export class ShimPod {
  readonly #places: ShimPlaces;
  readonly #record: PodOptions["record"];
  #pod: Pod | undefined;
  /** Called with the container in which the kernel's OOM killer has killed. */
  onOom: (containerId: string) => void = () => {};

  constructor(places: ShimPlaces, record: PodOptions["record"]) {
    this.#places = places;
    this.#record = record;
  }

  /** The pod; the options are the first caller's. Throws as settingsOf does. */
  open(options: Any | undefined): Pod {
    const { key: id, share, consoleLog } = this.#places;
    this.#pod ??= new Pod({
      id,
      settings: settingsOf(options),
      share,
      consoleLog,
      record: this.#record,
      onOom: (containerId) => this.onOom(containerId),
    });
    return this.#pod;
  }

  /** Undefined before open(). */
  get opened(): Pod | undefined {
    return this.#pod;
  }
}
