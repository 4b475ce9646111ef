import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from "../../protocol/generated/containerd/events.ts";
import type { Exit } from "../guest/exit-status.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { timestamp } from "./any.ts";
import type { Publisher } from "./publisher.ts";

/** What happens to tasks, as containerd's events. */
export class TaskEvents {
  readonly #publisher: Publisher;

  constructor(publisher: Publisher) {
    this.#publisher = publisher;
  }

  created(event: TaskCreate): void {
    this.#publisher.publish("/tasks/create", "TaskCreate", TaskCreate, event);
  }

  started(containerId: string, pid: number): void {
    this.#publisher.publish("/tasks/start", "TaskStart", TaskStart, { containerId, pid });
  }

  execAdded(containerId: string, execId: string): void {
    this.#publisher.publish("/tasks/exec-added", "TaskExecAdded", TaskExecAdded, { containerId, execId });
  }

  execStarted(containerId: string, execId: string, pid: number): void {
    this.#publisher.publish("/tasks/exec-started", "TaskExecStarted", TaskExecStarted, { containerId, execId, pid });
  }

  /** `id`: the exec's, or the container's own once more for its init. */
  exited(containerId: string, id: string, pid: number, { exitCode: exitStatus, exitedAt }: Exit): void {
    const event = { containerId, id, pid, exitStatus, exitedAt: timestamp(exitedAt) };
    this.#publisher.publish("/tasks/exit", "TaskExit", TaskExit, event);
  }

  /** CRI-O takes no events, and looks for a file in the bundle when a container has ended. */
  oom(containerId: string, bundle: string): void {
    this.#publisher.publish("/tasks/oom", "TaskOOM", TaskOOM, { containerId });
    if (this.#publisher.hasListener) return;
    try {
      writeFileSync(join(bundle, "oom"), "");
    } catch (error) {
      log.warning(`that container ${containerId} was killed for its memory cannot be told: ${formatError(error)}`);
    }
  }

  paused(containerId: string): void {
    this.#publisher.publish("/tasks/paused", "TaskPaused", TaskPaused, { containerId });
  }

  resumed(containerId: string): void {
    this.#publisher.publish("/tasks/resumed", "TaskResumed", TaskResumed, { containerId });
  }

  deleted(containerId: string, pid: number, { exitCode: exitStatus, exitedAt }: Exit): void {
    const event = { containerId, id: "", pid, exitStatus, exitedAt: timestamp(exitedAt) };
    this.#publisher.publish("/tasks/delete", "TaskDelete", TaskDelete, event);
  }
}
