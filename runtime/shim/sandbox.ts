import { existsSync } from "node:fs";
import { join } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { PodSandboxConfig } from "../../protocol/generated/containerd/pod-config.ts";
import type { CreateSandboxRequest } from "../../protocol/generated/containerd/sandbox.ts";
import type { Any } from "../../protocol/generated/containerd/types.ts";
import type { Spec } from "../../protocol/oci.ts";
import { type Exit, VM_DEATH_EXIT_CODE } from "../guest/exit-status.ts";
import { readDocument } from "../oci/document.ts";
import type { PodContainer } from "../sandbox/pod-container.ts";
import type { ShimPod } from "./pod.ts";
import { sandboxDocument } from "./sandbox-document.ts";
import { SandboxFiles } from "./sandbox-files.ts";

/** The life of a sandbox that containerd makes by its Sandbox API. */
type Phase =
  /** Nobody has asked for one: the daemon is a container's, or has just started. */
  | { name: "none" }
  /** CreateSandbox has described it. */
  | { name: "created"; id: string }
  | { name: "starting"; id: string; abort: AbortController; done: Promise<unknown> }
  /** The VM runs. */
  | { name: "ready"; id: string; container: PodContainer; createdAt: number }
  | { name: "stopped"; id: string; exit: Exit; createdAt: number };

/** A sandbox as containerd sees it: a VM that is there before its containers are, and until it is stopped. */
export class ShimSandbox {
  readonly #pod: ShimPod;
  readonly #options: Any | undefined;
  readonly #files: SandboxFiles;
  readonly #ended = Promise.withResolvers<Exit>();
  #phase: Phase = { name: "none" };

  /**
   * @param options the runtime's, as containerd gave them to `start`.
   * @param folder for its files; does not exist yet.
   */
  constructor(pod: ShimPod, options: Any | undefined, folder: string) {
    this.#pod = pod;
    this.#options = options;
    this.#files = new SandboxFiles(folder);
  }

  /** Whether it is containerd's to say when the daemon is to end. */
  get exists(): boolean {
    return this.#phase.name !== "none";
  }

  /** Whether the daemon is needed for it. */
  get lives(): boolean {
    return this.#phase.name !== "none" && this.#phase.name !== "stopped";
  }

  /** The container that stands for it while the VM runs. */
  get container(): PodContainer | undefined {
    return this.#phase.name === "ready" ? this.#phase.container : undefined;
  }

  /**
   * Takes the description of the sandbox.
   * @throws CaissonError CAISSON_E_ID_IN_USE the second time; CAISSON_E_CONFIG_UNSUPPORTED for what would need a program.
   */
  create({ sandboxId: id, bundlePath, rootfs, options, netnsPath: netns, annotations }: CreateSandboxRequest): void {
    if (this.#phase.name !== "none") {
      throw new CaissonError("CAISSON_E_ID_IN_USE", `there is the sandbox ${this.#phase.id} already`);
    }
    if (rootfs.length > 0) {
      throw new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", `sandbox ${id} has a root file system`, {
        remedy: "Leave it out: the VM stands for the sandbox, and no program of an image does.",
      });
    }
    const config = podConfig(options);
    const document = sandboxDocument({ id, netns, config, spec: givenSpec(bundlePath), annotations });
    this.#files.write(document, config);
    this.#phase = { name: "created", id };
  }

  /**
   * Starts the VM. @throws CaissonError as Pod.create does; it cannot be started again then.
   * @param caller aborts when whoever wants it has gone.
   */
  async start(id: string, caller: AbortSignal): Promise<{ pid: number; createdAt: number }> {
    const phase = this.#require(id);
    if (phase.name !== "created") throw wrongState(phase, "started");
    const abort = new AbortController();
    const done = this.#start(id, AbortSignal.any([abort.signal, caller]));
    this.#phase = { name: "starting", id, abort, done: done.catch(() => {}) };
    try {
      const container = await done;
      const createdAt = Date.now();
      this.#phase = { name: "ready", id, container, createdAt };
      void container.container.init.exit.then((exit) => this.#stopped(exit));
      return { pid: process.pid, createdAt };
    } catch (error) {
      this.#stopped({ exitCode: VM_DEATH_EXIT_CODE, exitedAt: Date.now(), oomKilled: false });
      throw error;
    }
  }

  async #start(id: string, signal: AbortSignal): Promise<PodContainer> {
    const io = { stdin: undefined, stdout: undefined, stderr: undefined };
    const request = { id, bundle: this.#files.bundle, rootfs: [], io, options: this.#options, signal };
    const container = await this.#pod.create(request);
    await this.#pod.opened?.ready();
    return container;
  }

  /** Ends the VM, with whatever still runs in it. May be called again. */
  async stop(id: string): Promise<void> {
    this.#require(id);
    await this.end();
  }

  async end(): Promise<void> {
    const phase = this.#phase;
    if (phase.name === "starting") {
      phase.abort.abort(new CaissonError("CAISSON_E_STATE", `sandbox ${phase.id} is being stopped`));
      await phase.done;
    }
    // Asked for, it is no failure.
    if (this.lives) this.#stopped({ exitCode: 0, exitedAt: Date.now(), oomKilled: false });
    if (phase.name !== "none") await this.#pod.opened?.end();
    this.#files.release();
  }

  /** Resolves with how it ended. */
  async wait(id: string): Promise<Exit> {
    this.#require(id);
    return await this.#ended.promise;
  }

  /** @throws CaissonError CAISSON_E_STATE unless the VM runs and its agent answers. */
  async ping(id: string): Promise<void> {
    const phase = this.#require(id);
    if (phase.name !== "ready") throw wrongState(phase, "reached");
    await phase.container.container.stats();
  }

  /** Times are Unix milliseconds. */
  status(id: string): { pid: number; ready: boolean; createdAt: number; exitedAt: number | undefined } {
    const phase = this.#require(id);
    const ready = phase.name === "ready";
    const createdAt = "createdAt" in phase ? phase.createdAt : 0;
    return {
      pid: ready ? process.pid : 0,
      ready,
      createdAt,
      exitedAt: phase.name === "stopped" ? phase.exit.exitedAt : undefined,
    };
  }

  /** @throws CaissonError CAISSON_E_NOT_FOUND for another sandbox than ours. */
  check(id: string): void {
    this.#require(id);
  }

  /** A container's configuration with what it gets from this sandbox. */
  complete(document: unknown): unknown {
    return this.#files.complete(document);
  }

  #stopped(exit: Exit): void {
    const phase = this.#phase;
    if (phase.name === "none" || phase.name === "stopped") return;
    const createdAt = phase.name === "ready" ? phase.createdAt : 0;
    this.#phase = { name: "stopped", id: phase.id, exit, createdAt };
    this.#ended.resolve(exit);
  }

  #require(id: string): Exclude<Phase, { name: "none" }> {
    const phase = this.#phase;
    if (phase.name !== "none" && phase.id === id) return phase;
    throw new CaissonError("CAISSON_E_NOT_FOUND", `there is no sandbox ${id}`);
  }
}

function wrongState(phase: Exclude<Phase, { name: "none" }>, verb: string): CaissonError {
  return new CaissonError("CAISSON_E_STATE", `sandbox ${phase.id} cannot be ${verb}: it is ${phase.name}`);
}

/** The options as CRI's own type, under whatever prefix. @throws CaissonError CAISSON_E_USAGE for another type. */
function podConfig(options: Any | undefined): PodSandboxConfig | undefined {
  if (options === undefined || options.typeUrl === "") return undefined;
  if (/(^|[./])PodSandboxConfig$/.test(options.typeUrl)) return PodSandboxConfig.decode(options.value);
  throw new CaissonError("CAISSON_E_USAGE", `a sandbox cannot be made from a ${JSON.stringify(options.typeUrl)}`, {
    remedy: "Give a runtime.v1.PodSandboxConfig, or an OCI configuration in the sandbox's bundle.",
  });
}

function givenSpec(bundle: string): Spec | undefined {
  const path = join(bundle, "config.json");
  if (bundle === "" || !existsSync(path)) return undefined;
  const document = readDocument(path, "CAISSON_E_BUNDLE");
  return typeof document === "object" && document !== null ? (document as Spec) : undefined;
}
