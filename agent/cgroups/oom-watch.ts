import type { FSWatcher } from "node:fs";
import type { OomEvent, ProcessExit } from "../../protocol/generated/agent.ts";
import type { Broadcast } from "../broadcast.ts";
import { log } from "../log.ts";
import type { Cgroup } from "./cgroup.ts";
import { type OomKills, oomKills, watchFile } from "./events.ts";

type OomAnswer = Pick<ProcessExit, "oomKilled" | "guestMemoryExhausted">;

/** What whoever waits for a process is told when the OOM killer has done nothing. */
export const NOT_KILLED: OomAnswer = { oomKilled: false, guestMemoryExhausted: false };

/** What the kernel's OOM killer has done in a container's cgroup, told as it happens. */
export class OomWatch {
  readonly #cgroup: Cgroup;
  readonly #container: string;
  readonly #told: Broadcast<OomEvent>;
  readonly #watcher: FSWatcher | undefined;
  #kills: OomKills = { count: 0, ofGuest: false };

  /** @param changed called when something has happened to the cgroup's memory. */
  constructor(cgroup: Cgroup, container: string, told: Broadcast<OomEvent>, changed: () => void) {
    this.#cgroup = cgroup;
    this.#container = container;
    this.#told = told;
    this.#watcher = watchFile(`${cgroup.path}/memory.events`, () => {
      this.look();
      changed();
    });
  }

  /** Looks whether there are more, which may not have been told yet. */
  look(): void {
    const kills = this.#read();
    if (kills.count <= this.#kills.count) return;
    this.#kills = kills;
    const id = this.#container;
    const what = kills.ofGuest ? "the guest" : `container ${id}`;
    log("warning", `${what} is out of memory: the kernel has killed ${kills.count} processes of container ${id}`);
    this.#told.publish({ containerId: id, guestMemoryExhausted: kills.ofGuest });
  }

  /** For whoever waits for a process: looks, too. */
  answer(): OomAnswer {
    this.look();
    const { count, ofGuest } = this.#kills;
    return { oomKilled: count > 0, guestMemoryExhausted: ofGuest };
  }

  close(): void {
    this.#watcher?.close();
  }

  /** The kills in the cgroup; once the cgroup is gone, the last known. */
  #read(): OomKills {
    const kills = oomKills(this.#cgroup.read("memory.events"));
    return kills.count > this.#kills.count ? kills : this.#kills;
  }
}
