import { realpathSync } from "node:fs";
import { getWinsize } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Spec } from "../../protocol/oci.ts";
import { leaveCgroups, SharedCgroup } from "../cgroup/cgroup.ts";
import { OwnCgroup } from "../cgroup/own-cgroup.ts";
import { type ControlClient, connectControl } from "../control/client.ts";
import type { DaemonLog } from "../control/daemon-log.ts";
import type { ClientStdio, CreateParams, JoinParams } from "../control/protocol.ts";
import { spawnDaemon } from "../control/spawn.ts";
import { VM_DEATH_EXIT_CODE } from "../guest/exit-status.ts";
import { openConsoleTerminal } from "../guest/stdio/console.ts";
import { enterNetworkNamespace } from "../network/namespace.ts";
import { isBindMount } from "../oci/checks/mounts.ts";
import { freeMemoryLater } from "../process/free-memory.ts";
import { HostHooks } from "../sandbox/hooks.ts";
import type { PlacedBundle } from "../sandbox/placement.ts";
import { withSources } from "../sandbox/spec/host-paths.ts";
import { statePaths } from "../state/paths.ts";
import { bind } from "../storage/bind.ts";
import { standFor } from "../storage/mount-namespace.ts";
import { ownMountTree } from "../storage/mount-tree.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { reserveContainer } from "./create.ts";
import { tellLoss } from "./loss.ts";

/** The cgroup is empty by then, but for what a hook has left in it. */
const CGROUP_LIMIT_MS = 500;

/**
 * This process as the one that stands for a container in another daemon's VM: its pid is the OCI pid, the container has its
 * standard streams, and it ends as the container does. Its end is the container's, and the daemon's is both's.
 */
export class Monitor {
  readonly #id: string;
  /** The container lives as long as this connection. */
  readonly #life: ControlClient;
  /** To the container's own socket. */
  readonly #verbs: ControlClient;
  /** Undefined when it is the VM's. */
  readonly #cgroup: OwnCgroup | undefined;

  private constructor(id: string, life: ControlClient, verbs: ControlClient, cgroup: OwnCgroup | undefined) {
    this.#id = id;
    this.#life = life;
    this.#verbs = verbs;
    this.#cgroup = cgroup;
    freeMemoryLater();
  }

  /**
   * Has the container created in the VM that it is placed in; one for a pod is started with a daemon of its own.
   * @throws as createOwn does.
   */
  static async begin(
    params: CreateParams,
    placed: PlacedBundle,
    logging: DaemonLog,
    signal: AbortSignal,
  ): Promise<Monitor> {
    const { root, id } = params;
    const { placement, bundle, rootfs, config } = placed;
    const record = reserveContainer(params, placed);
    const { cgroup: cgroupPath } = record.state;
    log.debug("the container on the host", { cgroup: cgroupPath, network: placed.networkPath ?? "named by no path" });
    const hooks = new HostHooks(config.hooks, record.state);
    await using undo = new AsyncDisposableStack();
    undo.defer(async () => {
      // The record of one whose caller has gone stays: without this process it says "stopped".
      if (signal.aborted) return;
      record.remove();
      await hooks.poststop();
    });
    // Before this process leaves the caller's network namespace, where the daemon belongs.
    const life =
      placement.kind === "with"
        ? await connectControl(statePaths(root, placement.id).directory)
        : startDaemon(logging).client;
    undo.defer(() => life.close());
    signal.addEventListener("abort", () => life.close());
    const join: Omit<JoinParams, "record"> = {
      root,
      directory: realpathSync(bundle),
      config: withSources(withNetwork(config, placed), realSource),
      ...openStreams(params, config.process?.terminal === true),
      mounts: ownMountTree(),
      settings: params.config,
    };
    let cgroup: OwnCgroup | undefined;
    // The cgroup of a pod's first container is the VM's.
    if (placement.kind === "with") {
      const own = OwnCgroup.claim(cgroupPath, (cgroupFolders) => record.write({ cgroupFolders }));
      undo.defer(() => own.discard(CGROUP_LIMIT_MS));
      await own.join();
      cgroup = own;
    }
    enterNetworkNamespace(placed.networkPath);
    await hooks.create(signal);
    try {
      await life.request("join", { ...join, record: record.state });
      if (cgroup === undefined) new SharedCgroup(cgroupPath).adopt([process.pid]);
      const verbs = await connectControl(statePaths(root, id).directory);
      const monitor = new Monitor(id, life, verbs, cgroup);
      if (params.consoleSocket !== undefined) monitor.#follow(join.stdio.stdin);
      standForContainer(id, rootfs, config);
      undo.move();
      return monitor;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  }

  /** Resolves with the container's exit code, once nothing is left of it but its record, which `delete` removes. */
  async exit(): Promise<number> {
    const code = await this.#verbs.request("wait", {}).then(
      ({ exitCode, reason }) => {
        if (reason !== undefined) tellLoss(reason);
        return exitCode;
      },
      () => {
        tellLoss(`Container ${this.#id} is lost: the daemon of its sandbox has ended.`);
        return VM_DEATH_EXIT_CODE;
      },
    );
    await this.#life.closed;
    this.#verbs.close();
    leaveCgroups();
    await this.#cgroup?.end(CGROUP_LIMIT_MS);
    return code;
  }

  /** Where the verbs are carried out. */
  get verbs(): ControlClient {
    return this.#verbs;
  }

  kill(signal: number): void {
    this.#verbs.request("kill", { signal, all: false }).catch(() => {});
  }

  /** Ends the container. */
  abandon(): void {
    this.#life.close();
  }

  #follow(terminal: number): void {
    process.on("SIGWINCH", () => {
      this.#verbs.request("resize", getWinsize(terminal)).catch(() => {});
    });
  }
}

function startDaemon(logging: DaemonLog): ReturnType<typeof spawnDaemon> {
  const daemon = spawnDaemon(logging, "ignore");
  daemon.unref();
  return daemon;
}

/** A new network namespace for a pod is made here, so that hooks find it by our pid. */
function withNetwork(config: Spec, { placement, networkPath }: PlacedBundle): Spec {
  if (placement.kind === "with" || networkPath !== undefined) return config;
  const namespaces = config.linux?.namespaces?.map((namespace) =>
    namespace.type === "network" ? { ...namespace, path: `/proc/${process.pid}/ns/net` } : namespace,
  );
  return { ...config, linux: { ...config.linux, ...(namespaces && { namespaces }) } };
}

function openStreams(
  { consoleSocket, ownTerminal }: CreateParams,
  terminal: boolean,
): Pick<JoinParams, "stdio" | "window"> {
  const own: ClientStdio = { pid: process.pid, stdin: 0, stdout: 1, stderr: 2 };
  if (consoleSocket === undefined) return { stdio: own, window: terminal ? ownTerminal : undefined };
  const slave = openConsoleTerminal(consoleSocket);
  return { stdio: { ...own, stdin: slave, stdout: slave, stderr: slave }, window: getWinsize(slave) };
}

function realSource(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_STORAGE", `${path} cannot be bound into the container`, { cause });
  }
}

/** Engines reach a container's files by its pid. */
function standForContainer(id: string, rootfs: string, { mounts = [] }: Spec): void {
  try {
    bind(rootfs, rootfs, { recursive: true, readOnly: false, field: "root.path" });
    const shown = mounts.filter(isBindMount).map(({ source = "", destination }) => ({ source, destination }));
    standFor(rootfs, shown);
  } catch (error) {
    log.warning(`container ${id} runs, but engines cannot reach its files by its pid: ${formatError(error)}`);
  }
}
