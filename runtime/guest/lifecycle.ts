import { CaissonError } from "../../protocol/errors.ts";
import type { ContainerStatus } from "../../protocol/oci.ts";

/**
 * The states of a container (runtime.md, State): created -> running <-> paused -> stopped; a created one may be killed to
 * stopped. A container is stopped once its init has ended, whoever asks: its output may still be on its way, and its record
 * says so a moment later. A record whose daemon has gone is a stopped container's, too (state/store.ts).
 */
export type Lifecycle = Exclude<ContainerStatus, "creating">;

type Refusals = Partial<Record<ContainerStatus, (id: string) => string>>;

const creating = (id: string) => `container ${id} is still being created`;
const notRunning = () => "container not running";
const notPaused = () => "container not paused";
const notStopped = (status: ContainerStatus) => (id: string) =>
  `cannot delete container ${id} that is not stopped: ${status}`;
const WHILE_IT_LIVES: Refusals = { creating, stopped: notRunning };

/** What may be done with a container: in all states but those for which this says why not, in runc's words. */
const ACTIONS = {
  start: {
    creating,
    running: () => "cannot start an already running container",
    paused: () => "cannot start a paused container",
    stopped: () => "cannot start a container that has stopped",
  },
  exec: {
    creating,
    paused: () => "cannot exec in a paused container (use --ignore-paused to override)",
    stopped: () => "cannot exec in a stopped container",
  },
  /** The process waits until a paused container is resumed. */
  execIgnoringPause: { creating, stopped: () => "cannot exec in a stopped container" },
  kill: WHILE_IT_LIVES,
  pause: { creating, created: notRunning, paused: () => "container already paused", stopped: notRunning },
  resume: { creating, created: notPaused, running: notPaused, stopped: notPaused },
  update: WHILE_IT_LIVES,
  ps: WHILE_IT_LIVES,
  stats: { creating, stopped: (id: string) => `container with id ${id} is not running` },
  /** Without force. */
  delete: { creating: notStopped("creating"), running: notStopped("running"), paused: notStopped("paused") },
} satisfies Record<string, Refusals>;

export type Action = keyof typeof ACTIONS;

/** @throws CaissonError CAISSON_E_STATE where the action is not allowed. */
export function requireAllowed(
  action: Action,
  id: string,
  status: ContainerStatus,
  details: { cause?: unknown; remedy?: string } = {},
): void {
  const refusals: Refusals = ACTIONS[action];
  const why = refusals[status]?.(id);
  if (why !== undefined) throw new CaissonError("CAISSON_E_STATE", why, details);
}
