import type { Socket } from "node:net";
import { join } from "node:path";
import { takeFd } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { ControlListener } from "../control/listener.ts";
import type { JoinParams } from "../control/protocol.ts";
import type { ContainerBundle, Guest } from "../sandbox/guest.ts";
import { HostHooks } from "../sandbox/hooks.ts";
import { withSources } from "../sandbox/spec/host-paths.ts";
import { withMountTree } from "../storage/mount-tree.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { clientIo } from "./client-io.ts";
import { containerHandlers, shutDown } from "./container-handlers.ts";
import { Creation } from "./creation.ts";

/** Where members are created. */
export interface Home {
  guest: Guest;
  /** An existing directory of the daemon's own, which nobody else mounts anything in. */
  directory: string;
  /** Called with each that has been created. */
  created?(creation: Creation): void;
}

interface Member {
  cgroup: string;
  /** Resolves when nothing of it is left here. */
  over: Promise<void>;
}

/** Containers in this daemon's VM whose OCI pids are other processes: their monitors, which hold a connection each. */
export class Members {
  readonly #home: (params: JoinParams, signal: AbortSignal) => Promise<Home>;
  readonly #changed: () => Promise<void>;
  readonly #members = new Map<string, Member>();
  #joining = 0;

  /** @param changed is waited for when one has gone, before its monitor ends, and called when one has not come to be. */
  constructor(home: (params: JoinParams, signal: AbortSignal) => Promise<Home>, changed: () => Promise<void>) {
    this.#home = home;
    this.#changed = changed;
  }

  get isEmpty(): boolean {
    return this.#members.size === 0 && this.#joining === 0;
  }

  /** The cgroups of those that there are. */
  get cgroups(): string[] {
    return [...this.#members.values()].map(({ cgroup }) => cgroup);
  }

  /** Resolves when those that there are now have gone. */
  async over(): Promise<void> {
    await Promise.all([...this.#members.values()].map(({ over }) => over));
  }

  /** Creates a container; it goes with the connection, and the connection with it. */
  async join(params: JoinParams, connection: Socket): Promise<Record<string, never>> {
    const { id, cgroup } = params.record;
    this.#joining += 1;
    const abort = new AbortController();
    const gone = () => abort.abort(new CaissonError("CAISSON_E_STATE", `the monitor of container ${id} has gone`));
    connection.once("close", gone);
    try {
      // Engines start a container again as soon as the process that stood for it has ended.
      await this.#members.get(id)?.over;
      if (connection.destroyed) gone();
      const home = await this.#home(params, abort.signal);
      const creation = await create(home, params, abort.signal);
      home.created?.(creation);
      const listener = new ControlListener(() => ({
        ...containerHandlers(() => creation),
        create: refused,
        detach: refused,
        join: (other, from) => this.join(other, from),
      }));
      const over = this.#follow(creation, listener, connection);
      this.#members.set(id, { cgroup, over });
      await listener.listen(creation.controlSocket);
      if (connection.destroyed) throw abort.signal.reason;
      connection.once("close", () => void shutDown(creation).catch((error: unknown) => log.error(formatError(error))));
      return {};
    } finally {
      connection.off("close", gone);
      this.#joining -= 1;
      // An error is answered first.
      setImmediate(() => void this.#changed());
    }
  }

  async #follow(creation: Creation, listener: ControlListener, connection: Socket): Promise<void> {
    const { container } = creation;
    await creation.ended();
    await creation.end();
    this.#members.delete(container.id);
    await this.#changed();
    // The container's monitor waits with it for whoever reads the last output.
    await container.wait();
    await listener.close();
    connection.end();
  }
}

async function refused(): Promise<never> {
  throw new CaissonError("CAISSON_E_STATE", "the container is created already");
}

/** @throws CaissonError as Guest.createContainer does, or the signal's reason; nothing of the container is left then. */
async function create({ guest, directory }: Home, params: JoinParams, signal: AbortSignal): Promise<Creation> {
  const { root, record, config, stdio, window, mounts } = params;
  const { id, bundle, rootfs } = record;
  const tree = takeFd(stdio.pid, mounts);
  const io = clientIo(stdio, config.process?.terminal === true);
  try {
    // Everything is bound before the first answer is waited for.
    const container = await withMountTree(tree, directory, (seen) => {
      const spec = withSources(config, (path) => join(seen, path));
      const parts: ContainerBundle = {
        spec,
        directory: bundle,
        foundAt: join(seen, params.directory),
        rootfs: join(seen, rootfs),
      };
      return guest.createContainer(id, parts, io, window);
    });
    const end = async (): Promise<void> => {
      await container.delete().catch((error: unknown) => log.debug(formatError(error)));
      await guest.removeContainer(id);
    };
    if (signal.aborted) {
      await end();
      throw signal.reason;
    }
    const hooks = new HostHooks(config.hooks, record, record.daemon.pid);
    const creation = new Creation(root, { ...record, guestPid: container.init.pid }, { guest, container, hooks, end });
    try {
      creation.record("created");
    } catch (error) {
      await end();
      throw error;
    }
    return creation;
  } catch (error) {
    for (const stream of [io.stdin, io.stdout, io.stderr]) stream?.destroy();
    throw error;
  }
}
