import type { Socket } from "node:net";
import { constants } from "node:os";
import type { ExecParams } from "../control/protocol.ts";
import { type ContainerHandlers, endOf } from "../control/server.ts";
import { requireAllowed } from "../guest/lifecycle.ts";
import type { GuestProcess } from "../guest/process.ts";
import { measureGuest } from "../sandbox/measure.ts";
import type { PodContainer } from "../sandbox/pod-container.ts";
import { clientIo, closeIo } from "./client-io.ts";
import { toExitStatus } from "./loss.ts";
import { shellHandlers } from "./shell-handlers.ts";
import { toContainerProcesses, toStats } from "./stats.ts";

const SIGKILL = constants.signals.SIGKILL;

/** What the verbs do with a container. @param get throws while there is none. */
export function containerHandlers(get: () => PodContainer): ContainerHandlers {
  const handlers: ContainerHandlers = {
    start: async () => get().start(),
    kill: async ({ signal, all, execId }) => get().container.kill(signal, { all, execId }),
    exec: (params, connection) => exec(get(), params, connection),
    wait: async ({ execId }) => {
      const { container } = get();
      const name = execId ? `Process ${execId} of container ${container.id}` : `Container ${container.id}`;
      return toExitStatus(name, await container.wait(execId));
    },
    resize: async ({ rows, columns, execId }) => get().container.resize({ rows, columns }, execId),
    ps: async () => ({ processes: toContainerProcesses((await get().container.processes()).processes) }),
    pause: async () => get().pause(),
    resume: async () => get().resume(),
    update: async ({ resources }) => get().update(resources),
    stats: async () => {
      const { container, guest } = get();
      return { stats: toStats(await container.stats()), vmMemoryMib: guest.mostMemoryMib };
    },
    ...shellHandlers(async () => get().guest),
    logFiles: async () => get().guest.logFiles,
    measure: () => measureGuest(get().guest),
    shutdown: async () => get().shutDown(),
    command: async (params, connection) => {
      const { carryOut } = await import("./command.ts");
      return await carryOut(get(), handlers, params, connection);
    },
  };
  return handlers;
}

/** The process's end is the connection's: a client that is killed must not leave its process behind. */
async function exec(
  { container }: PodContainer,
  { execId, process, stdio, window, ignorePaused, detached, cgroup }: ExecParams,
  connection: Socket,
): Promise<{ execId: string; pid: number }> {
  if (!ignorePaused) requireAllowed("exec", container.id, container.lifecycle);
  const io = clientIo(stdio, process.terminal === true);
  let started: GuestProcess;
  try {
    started = await container.exec(execId, process, io, window, cgroup);
  } catch (error) {
    closeIo(io);
    throw error;
  }
  const { id, pid } = started;
  const left = endOf(connection);
  if (!detached) {
    void left.then(async () => {
      if (!started.ended) await container.kill(SIGKILL, { execId: id.execId }).catch(() => {});
    });
  }
  // Nobody but its client asks for it by its id, which is new each time.
  void Promise.all([started.exit, left]).then(() => container.forget(id.execId));
  return { execId: id.execId, pid };
}
