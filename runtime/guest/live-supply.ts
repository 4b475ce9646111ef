import type { Spec } from "../../protocol/oci.ts";
import type { LiveSources } from "../storage/live-sources.ts";
import type { Agent } from "./agent/client.ts";
import { HostSockets } from "./sockets/host-sockets.ts";
import { WatchedVolume } from "./volumes/watched-volume.ts";

/** What the guest is given of a container's live sources for as long as the container lives. */
export class LiveSupply {
  readonly #sockets: HostSockets;
  readonly #volumes: readonly WatchedVolume[];

  private constructor(sockets: HostSockets, volumes: readonly WatchedVolume[]) {
    this.#sockets = sockets;
    this.#volumes = volumes;
  }

  /**
   * Has the guest listen in the places of sockets, and have copies of volumes.
   * @returns once it does; undefined when there is nothing of the kind. @throws CaissonError of the agent; nothing is left then.
   */
  static async start(agent: Agent, { sockets, volumes }: LiveSources, spec: Spec): Promise<LiveSupply | undefined> {
    if (sockets.length + volumes.length === 0) return undefined;
    const served = await HostSockets.serve(agent, sockets, spec);
    const started = await Promise.allSettled(volumes.map((volume) => WatchedVolume.start(agent, volume)));
    const watched = started.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const supply = new LiveSupply(served, watched);
    const failed = started.find((each) => each.status === "rejected");
    if (failed === undefined) return supply;
    supply.close();
    throw failed.reason;
  }

  /** After the container's end: waits until the host has what the container has written to sockets, but not for ever. */
  drained(): Promise<void> {
    return this.#sockets.drained();
  }

  /** May be called again. */
  close(): void {
    this.#sockets.close();
    for (const volume of this.#volumes) volume.close();
  }
}
