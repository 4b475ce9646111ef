import type { ContainerTimes, OomEvent } from "../../protocol/generated/agent.ts";
import type { Spec } from "../../protocol/oci.ts";
import type { Broadcast } from "../broadcast.ts";
import type { Disks } from "../disks/disks.ts";
import type { MemoryDemand } from "../growth/demand.ts";
import type { AgentPaths } from "../paths.ts";
import type { Pool } from "../pool/pool.ts";
import type { LivePids } from "./namespaces.ts";

/** What is known of a container's init once it waits to be started. */
export type Created = { pid: number } & Pick<ContainerTimes, "initBegunNs" | "initReachedNs">;

/** What a container needs of the sandbox that it is in. */
export interface ContainerHost extends LivePids {
  readonly id: string;
  readonly paths: AgentPaths;
  readonly pool: Pool;
  readonly disks: Disks;
  readonly memory: Pick<MemoryDemand, "follow" | "forget" | "look">;
  readonly oom: Broadcast<OomEvent>;
  /** Makes the memory that containers share be there, unless it is of no bytes. Throws CAISSON_E_STORAGE. */
  provideSharedMemory(config: Spec, bytes: bigint): void;
}
