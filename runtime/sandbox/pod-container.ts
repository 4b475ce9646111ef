import { constants } from "node:os";
import type { ContainerStatus, Resources } from "../../protocol/oci.ts";
import type { Container } from "../guest/container.ts";
import type { Exit } from "../guest/exit-status.ts";
import { COLLECT_LIMIT_MS, DELIVERY_LIMIT_MS, REMOVAL_STALL_LIMIT_MS } from "../guest/stdio/end-of-output.ts";
import { deadline } from "../process/deadline.ts";
import type { ContainerRecord } from "../state/container-record.ts";
import type { Guest } from "./guest.ts";
import type { HostHooks } from "./hooks.ts";
import type { HostProcess } from "./host-process.ts";

const SIGKILL = constants.signals.SIGKILL;
/** How long a container that is shut down may take to end and flush its files, before it is removed under it. */
const SHUTDOWN_LIMIT_MS = 10_000;

/** What a container of a pod is made of. */
export interface PodContainerParts {
  guest: Guest;
  container: Container;
  host: HostProcess;
  hooks: HostHooks;
  /** Undefined where the container has none of its own. */
  record: ContainerRecord | undefined;
  /** Sets on the host what the host carries out of its limits, where the VM is its own. */
  limit(resources: Resources): void;
  /** The init has been let go. */
  started(): void;
  /** Takes it out of the VM, or ends that with it. Called once. */
  remove(): Promise<void>;
}

/** A created container of a pod with what is its own on the host. */
export class PodContainer {
  readonly container: Container;
  readonly guest: Guest;
  /**
   * Resolves with how it ended, once that is on record and nothing of the container is in the guest any more; a reader who does
   * not read its output is not waited for.
   */
  readonly ended: Promise<Exit>;
  readonly #parts: PodContainerParts;
  #starting: Promise<void> | undefined;
  #removed: Promise<void> | undefined;
  /** Whether it has been started without start() having been called yet. */
  #startsItself: boolean;
  #isOver = false;

  constructor(parts: PodContainerParts) {
    this.container = parts.container;
    this.guest = parts.guest;
    this.#parts = parts;
    this.#startsItself = parts.container.startsItself;
    // On record before its end can be.
    if (this.#startsItself) this.#starting = this.#start();
    this.#starting?.catch(() => {});
    this.ended = this.#follow();
  }

  /** Of the process that stands for it on the host. */
  get pid(): number {
    return this.#parts.host.pid;
  }

  get host(): HostProcess {
    return this.#parts.host;
  }

  /** The bundle's directory, where that is on record. */
  get bundle(): string | undefined {
    return this.#parts.record?.state.bundle;
  }

  /** Whether it needs the VM no more: `ended` has resolved. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Lets the init process go; resolves when the poststart hooks have run. Throws as Container.start and they do. */
  start(): Promise<void> {
    if (!this.#startsItself || this.#starting === undefined) this.#starting = this.#start();
    this.#startsItself = false;
    return this.#starting;
  }

  async pause(): Promise<void> {
    await this.#change("paused", () => this.container.pause());
  }

  async resume(): Promise<void> {
    await this.#change("running", () => this.container.resume());
  }

  /** Changes the container's limits; what is not named stays. What the host refuses changes nothing. */
  async update(resources: Resources): Promise<void> {
    this.#parts.limit(resources);
    await this.guest.update(this.container, resources);
  }

  /** Lets nobody wait for a hook any more. */
  abortHooks(): void {
    this.#parts.hooks.abort();
  }

  /**
   * Kills the container, whose other processes end with its init, and removes it; that comes first if the container takes too
   * long. Output that its reader has not taken by then is dropped.
   */
  async shutDown(): Promise<void> {
    const { container } = this;
    const { init } = container;
    this.abortHooks();
    const killed = container.lifecycle === "stopped" ? Promise.resolve() : container.kill(SIGKILL);
    const delivered = killed
      // The container may just have ended.
      .catch(() => {})
      .then(() => init.over)
      .then(() => {
        init.abandonStalled(REMOVAL_STALL_LIMIT_MS);
        return init.exit;
      });
    await deadline(delivered, SHUTDOWN_LIMIT_MS);
    await this.remove();
  }

  /** Leaves the host as it was without the container, but for its record. May be called again. */
  remove(): Promise<void> {
    this.#removed ??= this.#parts.remove();
    return this.#removed;
  }

  async #start(): Promise<void> {
    await this.#change("running", () => this.container.start());
    this.#parts.started();
    await this.#parts.hooks.poststart(this.container);
  }

  /**
   * Carries out what changes the container's status. It is on record first: what cannot be recorded is not done.
   * @throws CaissonError CAISSON_E_STORAGE when it cannot be; what `carryOut` throws.
   */
  async #change(status: ContainerStatus, carryOut: () => Promise<void>): Promise<void> {
    const { record } = this.#parts;
    const former = record?.state.status;
    record?.write({ status });
    try {
      await carryOut();
    } catch (error) {
      if (former !== undefined && this.container.lifecycle !== "stopped") record?.tryToWrite({ status: former });
      throw error;
    }
  }

  async #follow(): Promise<Exit> {
    const { init } = this.container;
    const exit = await init.over;
    await deadline(init.exit, DELIVERY_LIMIT_MS);
    await this.#starting?.catch(() => {});
    const { exitCode, death, memoryExhausted } = exit;
    const exitReason = memoryExhausted ?? (death && `the VM ${death.description}`);
    this.#parts.record?.tryToWrite({ status: "stopped", exitCode, exitReason });
    await deadline(init.collected, COLLECT_LIMIT_MS);
    this.#isOver = true;
    return exit;
  }
}
