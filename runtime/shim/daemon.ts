import { createServer, type Server, Socket } from "node:net";
import { Any } from "../../protocol/generated/containerd/types.ts";
import { endInWords } from "../process/last-words.ts";
import { STARTER_FD } from "../process/spawn-self.ts";
import { ContainerRecord } from "../state/container-record.ts";
import { ENGINE, ENGINE_NAMESPACE, ENGINE_SANDBOX, SHIM_ROOT } from "../state/paths.ts";
import { enterPrivateMountNamespace } from "../storage/mount-namespace.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { serve } from "../ttrpc/server.ts";
import { listenForOperators } from "./control.ts";
import { shimPaths } from "./paths.ts";
import { ShimPod } from "./pod.ts";
import { Publisher } from "./publisher.ts";
import { ShimSandbox } from "./sandbox.ts";
import { sandboxServices } from "./sandbox-service.ts";
import { taskServices } from "./service.ts";
import { Tasks } from "./tasks.ts";

export interface ShimDaemonParams {
  /** containerd's own socket, its namespace, and the pod or container: what the paths are made of. */
  address: string;
  namespace: string;
  group: string;
  /** containerd's ttrpc socket, for events. */
  ttrpcAddress: string;
  /** The bundle of the container that the daemon was started for. */
  bundle: string;
  /** The runtime's options as containerd gave them: an Any in base64; empty for none. */
  options: string;
  /** The file that containerd reads shims' logs from; standard error when missing. */
  log: string | undefined;
  debug: boolean;
}

/** How long the last events may take to reach containerd. */
const FAREWELL_LIMIT_MS = 5000;
/**
 * A daemon without tasks that nobody is connected to for so long was forgotten: by a containerd that has died, or whose
 * client has gone before containerd connected. One that is needed after all is started again.
 */
const FORGOTTEN_AFTER_MS = 5000;
/**
 * A containerd that was restarted connects to every daemon and, up to 1.6, keeps one whose task was never created: it says
 * nothing to it, and cleans up when it ends. One that has a task to create does so at once.
 */
const NEEDLESS_AFTER_MS = 10_000;

/** Runs a pod for containerd until it is shut down, and ends this process. */
export async function runShimDaemon(params: ShimDaemonParams): Promise<never> {
  endInWords({ exitCode: 1 });
  const starter = new Socket({ fd: STARTER_FD });
  starter.on("error", () => {});
  try {
    enterPrivateMountNamespace();
    log.start({ log: params.log, logFormat: "text", debug: params.debug });
    const daemon = new ShimDaemon(params);
    await daemon.listen();
    starter.end("ready\n");
    await daemon.ended;
    process.exit(0);
  } catch (error) {
    log.error(formatError(error));
    starter.end(`${formatError(error)}\n`, () => process.exit(1));
    return await new Promise<never>(() => {});
  }
}

class ShimDaemon {
  readonly #paths: ReturnType<typeof shimPaths>;
  readonly #publisher: Publisher;
  readonly #sandbox: ShimSandbox;
  readonly #pod: ShimPod;
  readonly #tasks: Tasks;
  readonly #connections = new Set<Socket>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #record: ContainerRecord;
  #server: Server | undefined;
  #operators: Server | undefined;
  #leaving = false;
  #lastHeard = performance.now();

  /** @throws CaissonError CAISSON_E_ID_IN_USE when another daemon has the pod. */
  constructor({ address, namespace, group, ttrpcAddress, bundle, options }: ShimDaemonParams) {
    this.#paths = shimPaths(address, namespace, group);
    this.#publisher = new Publisher(ttrpcAddress, namespace);
    this.#record = ContainerRecord.reserve(SHIM_ROOT, {
      id: this.#paths.key,
      status: "running",
      bundle,
      rootfs: bundle,
      cgroup: `/caisson/${this.#paths.key}`,
      annotations: {
        [ENGINE]: address,
        [ENGINE_NAMESPACE]: namespace,
        [ENGINE_SANDBOX]: group,
      },
    });
    this.#pod = new ShimPod(this.#paths, this.#record);
    const given = options === "" ? undefined : Any.decode(Buffer.from(options, "base64"));
    this.#sandbox = new ShimSandbox(this.#pod, given, this.#paths.sandbox);
    this.#tasks = new Tasks({ pod: this.#pod, sandbox: this.#sandbox, namespace, publisher: this.#publisher });
  }

  /** Resolves when nothing of the pod is left. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Rejects with Node's system error when a socket cannot be made. */
  async listen(): Promise<void> {
    const leave = () => void this.#leave();
    const services = {
      ...taskServices(this.#tasks, () => this.#sandbox.exists || leave()),
      ...sandboxServices(this.#sandbox, () => this.#tasks.measure(), leave),
    };
    const server = createServer((connection) => {
      this.#connections.add(connection);
      const heard = () => {
        this.#lastHeard = performance.now();
      };
      heard();
      connection.on("data", heard);
      connection.once("close", () => {
        this.#connections.delete(connection);
        heard();
      });
      serve(connection, services);
    });
    this.#server = server;
    const listening = Promise.withResolvers<void>();
    server.once("error", listening.reject);
    server.listen(this.#paths.socket, listening.resolve);
    await listening.promise;
    this.#operators = await listenForOperators(this.#paths.controlSocket, this.#pod);
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void this.#leave());
    setInterval(() => this.#leaveIfForgotten(), FORGOTTEN_AFTER_MS / 4).unref();
  }

  #leaveIfForgotten(): void {
    const connected = this.#connections.size > 0;
    if (performance.now() - this.#lastHeard < (connected ? NEEDLESS_AFTER_MS : FORGOTTEN_AFTER_MS)) return;
    if (!this.#tasks.empty || (connected ? this.#sandbox.exists : this.#sandbox.lives)) return;
    log.info("there are no tasks, and nobody has asked for one: the daemon ends");
    void this.#leave();
  }

  async #leave(): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    try {
      await this.#tasks.end();
      await this.#sandbox.end();
      await this.#publisher.close(FAREWELL_LIMIT_MS);
      this.#server?.close();
      this.#operators?.close();
      for (const connection of this.#connections) connection.end();
      this.#record.remove();
    } catch (error) {
      log.error(formatError(error));
    }
    this.#ended.resolve();
  }
}
