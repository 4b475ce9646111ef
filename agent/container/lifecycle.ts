import type { Process } from "./process.ts";

/** The states of a container (runtime.md, State), with what there is of it in each. */
export type Lifecycle =
  /** CreateContainer is being carried out. */
  | { status: "creating"; init?: undefined }
  /** The init process waits to be started. */
  | { status: "created"; init: Process }
  | { status: "running"; init: Process }
  /** The container's processes are frozen. */
  | { status: "paused"; init: Process }
  /** The init process has ended, and with it all the others; or it never came to be. */
  | { status: "stopped"; init: Process | undefined };
