import type { Socket } from "node:net";
import { takeFd } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { ControlListener } from "../control/listener.ts";
import type { JoinParams } from "../control/protocol.ts";
import type { ProcessIo } from "../guest/stdio/pump.ts";
import { HostHooks } from "../sandbox/hooks.ts";
import { MonitorProcess } from "../sandbox/host-process.ts";
import type { Pod } from "../sandbox/pod.ts";
import type { PodContainer } from "../sandbox/pod-container.ts";
import { ContainerRecord } from "../state/container-record.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { clientIo, closeIo } from "./client-io.ts";
import { containerHandlers } from "./container-handlers.ts";

/** Containers in this daemon's VM whose OCI pids are other processes: their monitors, which hold a connection each. */
export class JoinedContainers {
  readonly #podFor: (params: JoinParams, record: ContainerRecord) => Pod;
  /** Each resolves when nothing of the container is left here. */
  readonly #over = new Map<string, Promise<void>>();

  constructor(podFor: (params: JoinParams, record: ContainerRecord) => Pod) {
    this.#podFor = podFor;
  }

  /** Resolves when those that there are now have gone. */
  async over(): Promise<void> {
    await Promise.all(this.#over.values());
  }

  /** Creates a container; it goes with the connection, and the connection with it. */
  async join(params: JoinParams, connection: Socket): Promise<void> {
    const record = new ContainerRecord(params.root, params.record);
    const { id } = record.state;
    const abort = new AbortController();
    const gone = () => abort.abort(new CaissonError("CAISSON_E_STATE", `the monitor of container ${id} has gone`));
    connection.once("close", gone);
    try {
      // Engines start a container again as soon as the process that stood for it has ended.
      await this.#over.get(id);
      if (connection.destroyed) gone();
      const container = await create(this.#podFor(params, record), params, record, abort.signal);
      const listener = new ControlListener(() => ({
        ...containerHandlers(() => container),
        create: refused,
        detach: refused,
        join: (other, from) => this.join(other, from),
      }));
      this.#over.set(id, this.#follow(container, listener, connection));
      await listener.listen(record.paths.controlSocket);
      if (connection.destroyed) throw abort.signal.reason;
      connection.once(
        "close",
        () => void container.shutDown().catch((error: unknown) => log.error(formatError(error))),
      );
    } finally {
      connection.off("close", gone);
    }
  }

  async #follow(joined: PodContainer, listener: ControlListener, connection: Socket): Promise<void> {
    const { container } = joined;
    await joined.ended;
    await joined.remove();
    // The container's monitor waits with it for whoever reads the last output.
    await container.wait();
    this.#over.delete(container.id);
    await listener.close();
    connection.end();
  }
}

async function refused(): Promise<never> {
  throw new CaissonError("CAISSON_E_STATE", "the container is created already");
}

/** @throws CaissonError as Pod.create does, or the signal's reason; nothing of the container is left then. */
async function create(
  pod: Pod,
  params: JoinParams,
  record: ContainerRecord,
  signal: AbortSignal,
): Promise<PodContainer> {
  const { directory, config, stdio, window, mounts } = params;
  const { id, bundle, rootfs, cgroup, daemon } = record.state;
  const host = new MonitorProcess(daemon.pid, cgroup, { takeMounts: () => takeFd(stdio.pid, mounts), directory });
  let io: ProcessIo | undefined;
  const streams = () => {
    io = clientIo(stdio, config.process?.terminal === true);
    return { io, window };
  };
  const hooks = new HostHooks(config.hooks, record.state, host.pid);
  try {
    return await pod.create({
      id,
      bundle: { config, bundle, rootfs, warnings: [] },
      host,
      hooks,
      record,
      streams,
      signal,
    });
  } catch (error) {
    closeIo(io);
    throw error;
  }
}
