import type { ContainerStatus, Resources } from "../../protocol/oci.ts";
import { hostCgroupPath } from "../cgroup/cgroup.ts";
import { applyAnnotations, loadSettings } from "../config/load.ts";
import { sandboxSize } from "../config/size.ts";
import type { CreateParams } from "../control/protocol.ts";
import { hostSize } from "../factory/vm-config.ts";
import type { Container } from "../guest/container.ts";
import type { Exit } from "../guest/exit-status.ts";
import type { Bundle } from "../oci/bundle.ts";
import { now } from "../process/clock.ts";
import { deadline } from "../process/deadline.ts";
import { startIsOver } from "../process/spans.ts";
import { tracePhase } from "../process/trace.ts";
import { beginTrace } from "../sandbox/begin-trace.ts";
import { compileFilter, type Guest } from "../sandbox/guest.ts";
import { HostHooks } from "../sandbox/hooks.ts";
import { Sandbox } from "../sandbox/sandbox.ts";
import { newRecord } from "../state/new-record.ts";
import { statePaths } from "../state/paths.ts";
import type { NetworkChanges, StateRecord } from "../state/record.ts";
import { removeState, reserveState, writeState } from "../state/store.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { openInitIo } from "./client-io.ts";

/** How long the end of a container may wait to be told for its output to be delivered. */
const DELIVERY_LIMIT_MS = 500;
/** How long what an ended container has written may take to leave the guest: it is little. */
const COLLECT_LIMIT_MS = 10_000;

/** What a creation is made of. */
export interface CreationParts {
  guest: Guest;
  container: Container;
  hooks: HostHooks;
  /** InitIo.letGo; of a container whose streams were taken from another process nothing but copies is here. */
  letGo?: () => void;
  /** Sets on the host what the host carries out of its limits, where the VM is its own. */
  limit?: (resources: Resources) => void;
  /** Releases what the container holds, and ends it with that. Called once. */
  end(): Promise<void>;
}

/** A created container and all that is its on the host. */
export class Creation {
  readonly container: Container;
  readonly guest: Guest;
  readonly controlSocket: string;
  readonly #root: string;
  readonly #hooks: HostHooks;
  /** Called when the process that asked for the container leaves it. */
  readonly letGo: () => void;
  readonly #limit: (resources: Resources) => void;
  readonly #end: () => Promise<void>;
  #record: StateRecord;
  #starting: Promise<void> | undefined;
  #ended: Promise<void> | undefined;

  constructor(root: string, record: StateRecord, parts: CreationParts) {
    const { guest, container, hooks, letGo = () => {}, limit = () => {}, end } = parts;
    this.#root = root;
    this.#hooks = hooks;
    this.#record = record;
    this.letGo = letGo;
    this.#limit = limit;
    this.#end = end;
    this.guest = guest;
    this.container = container;
    this.controlSocket = statePaths(root, record.id).controlSocket;
  }

  /** Records the container's new status. */
  record(status: ContainerStatus): void {
    this.#write({ ...this.#record, status });
  }

  /**
   * Follows the container to its end, and records that: when its output is delivered, or without waiting for a reader who
   * does not read. Resolves when nothing of it is in the guest any more.
   */
  async ended(): Promise<Exit> {
    const { init } = this.container;
    const exit = await init.over;
    await deadline(init.exit, DELIVERY_LIMIT_MS);
    await this.settled();
    const { exitCode, death, memoryExhausted } = exit;
    const exitReason = memoryExhausted ?? (death && `the VM ${death.description}`);
    this.#tryToWrite({ ...this.#record, status: "stopped", exitCode, exitReason });
    await deadline(init.collected, COLLECT_LIMIT_MS);
    return exit;
  }

  /** Records what is about to be changed in the container's network namespace. */
  recordNetwork(network: NetworkChanges): void {
    this.#write({ ...this.#record, network });
  }

  #write(record: StateRecord): void {
    writeState(this.#root, record);
    this.#record = record;
  }

  /** Lets the init process go; resolves when the poststart hooks have run. Throws as Container.start and they do. */
  start(): Promise<void> {
    this.#starting = this.#start();
    return this.#starting;
  }

  /** Resolves when no start is under way any more. */
  async settled(): Promise<void> {
    await this.#starting?.catch(() => {});
  }

  /** Lets nobody wait for a hook any more. */
  abortHooks(): void {
    this.#hooks.abort();
  }

  /**
   * Carries out what changes the container's status. It is on record first: what cannot be recorded is not done.
   * @throws CaissonError CAISSON_E_STORAGE when it cannot be; what `carryOut` throws.
   */
  async change(status: ContainerStatus, carryOut: () => Promise<void>): Promise<void> {
    const former = this.#record.status;
    this.record(status);
    try {
      await carryOut();
    } catch (error) {
      if (this.container.lifecycle !== "stopped") this.#tryToWrite({ ...this.#record, status: former });
      throw error;
    }
  }

  /** A container that has ended is stopped without a record of it as well, once this process has ended. */
  #tryToWrite(record: StateRecord): void {
    try {
      this.#write(record);
    } catch (error) {
      log.warning(formatError(error));
    }
  }

  /** Changes the container's limits; what is not named stays. What the host refuses changes nothing. */
  async update(resources: Resources): Promise<void> {
    this.#limit(resources);
    await this.guest.update(this.container, resources);
  }

  async #start(): Promise<void> {
    await this.change("running", () => this.container.start());
    await this.#hooks.poststart(this.container);
  }

  /** Leaves the host as it was without the container, but for the record, which `delete` removes. May be called again. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }
}

/**
 * Creates the container of a bundle in a sandbox of its own, up to where its init waits to be started.
 * @throws CaissonError with whatever is wrong; nothing is left then. When `signal` aborts, the caller is gone and cannot be
 *   told: the record then stays, as a stopped container that `delete` removes.
 */
export async function createFromBundle(params: CreateParams, placed: Bundle, signal: AbortSignal): Promise<Creation> {
  const { root, id } = params;
  const start = now();
  const { config, bundle, rootfs } = placed;
  const settings = applyAnnotations(loadSettings(params.config), config.annotations);
  const { name, atMs } = params.asked ?? { name: "caisson create", atMs: Date.now() };
  await beginTrace(settings, { id, name, askedMs: atMs, traceparent: process.env["TRACEPARENT"] });
  const cgroup = hostCgroupPath(id, config.linux?.cgroupsPath, params.systemdCgroup);
  const record = newRecord({ id, status: "creating", bundle, rootfs, annotations: config.annotations, cgroup });
  record.poststop = config.hooks?.poststop;
  const hooks = new HostHooks(config.hooks, record);
  reserveState(root, record);
  tracePhase("reserve the state", start);

  const paths = statePaths(root, id);
  let creation: Creation | undefined;
  const undo = new AsyncDisposableStack();
  try {
    let seccomp: ReturnType<typeof compileFilter> | undefined;
    const sandbox = await Sandbox.start({
      id,
      config,
      settings,
      size: sandboxSize(config, settings, hostSize()),
      cgroup,
      limits: config.linux?.resources,
      share: paths.share,
      consoleLog: paths.consoleLog,
      onCgroup: (folders) => {
        record.cgroupFolders = folders;
        writeState(root, record);
      },
      onNetwork: (changes) => {
        record.network = changes;
        if (creation === undefined) writeState(root, record);
        else creation.recordNetwork(changes);
      },
      prepare: async () => {
        // The network namespace is there and may be given interfaces; the VM starts with those that are there then.
        await hooks.create(signal);
        seccomp = compileFilter(config);
        // The filter is waited for later than the VM, which may fail first.
        seccomp.catch(() => {});
      },
      signal,
    });
    undo.defer(() => sandbox.end());
    const { guest } = sandbox;
    const creating = now();
    const { io, window, follow, letGo } = openInitIo(params, config.process?.terminal === true);
    const parts = { spec: config, directory: bundle, rootfs, ...(seccomp && { seccomp }) };
    const container = await guest.createContainer(id, parts, io, window);
    signal.throwIfAborted();
    follow(container);
    try {
      guest.share.standFor(id);
    } catch (error) {
      log.warning(`container ${id} runs, but engines cannot reach its files by its pid: ${(error as Error).message}`);
    }
    tracePhase("create container", creating);
    creation = new Creation(
      root,
      { ...record, guestPid: container.init.pid },
      {
        guest,
        container,
        hooks,
        letGo,
        limit: (resources) => sandbox.cgroup.limit(resources),
        end: () => sandbox.endInPlace(),
      },
    );
    creation.record("created");
    undo.move();
    return creation;
  } catch (error) {
    startIsOver(formatError(error));
    await undo.disposeAsync();
    // The record of one whose caller has gone stays: without this process it says "stopped".
    if (!signal.aborted) {
      removeState(root, id);
      await hooks.poststop();
    }
    throw error;
  }
}
