import type { Any } from "../../protocol/generated/containerd/types.ts";
import { Pod, type PodOptions } from "../sandbox/pod.ts";
import { settingsOf } from "./options.ts";
import type { ShimPaths } from "./paths.ts";

/** The pod of a daemon, made when the first container, or the sandbox, is. */
export class ShimPod {
  readonly #paths: ShimPaths;
  readonly #record: PodOptions["record"];
  #pod: Pod | undefined;
  /** Called with the container in which the kernel's OOM killer has killed. */
  onOom: (containerId: string) => void = () => {};

  constructor(paths: ShimPaths, record: PodOptions["record"]) {
    this.#paths = paths;
    this.#record = record;
  }

  /** The pod; the options are the first caller's. Throws as settingsOf does. */
  open(options: Any | undefined): Pod {
    const { key: id, share, consoleLog } = this.#paths;
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
