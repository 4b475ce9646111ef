import { createServer, type Server, type Socket } from "node:net";
import { endProcess } from "../process/end.ts";
import { endInWords } from "../process/last-words.ts";
import { SHIM_NAME } from "../process/roles.ts";
import { ContainerRecord } from "../state/container-record.ts";
import { ENGINE, ENGINE_NAMESPACE, ENGINE_SANDBOX, SHIM_ROOT } from "../state/paths.ts";
import { enterPrivateMountNamespace } from "../storage/mount-namespace.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { serve } from "../ttrpc/server.ts";
import { listenForOperators } from "./control.ts";
import type { ShimFlags } from "./flags.ts";
import type { ShimPaths } from "./paths.ts";
import { ShimPod } from "./pod.ts";
import { Publisher } from "./publisher.ts";
import { ShimSandbox } from "./sandbox.ts";
import { sandboxServices } from "./sandbox-service.ts";
import { taskServices } from "./service.ts";
import { becomeDaemon, readStart, removeAbandoned, type ShimStart, startFlags, writeAddress } from "./start.ts";
import { answerStarter } from "./starter.ts";
import { Tasks } from "./tasks.ts";

export { exercise } from "../snapshot/exercise.ts";

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

/**
 * Does what containerd asks for with `start`, as becoming the daemon of the container's pod: runs that until it is shut down. Ends this process.
 * @param args the command line.
 */
export async function runShimDaemon(args: readonly string[]): Promise<never> {
  endInWords({ exitCode: 1, tell: (sentence) => answerStarter("error", `${SHIM_NAME}: ${sentence}\n`) });
  const flags = startFlags(args);
  try {
    if (flags === undefined) answerStarter("notMine");
    else await run(flags);
    endProcess(0);
  } catch (error) {
    log.error(formatError(error));
    answerStarter("error", `${SHIM_NAME}: ${formatError(error)}\n`);
    process.exit(1);
  }
}

async function run(flags: ShimFlags): Promise<void> {
  const start = readStart(flags);
  process.chdir("/");
  if (start.address === "") await removeAbandoned();
  let entered = false;
  const daemon = await becomeDaemon(start, () => {
    if (!entered) enterPrivateMountNamespace();
    entered = true;
    return new ShimDaemon(start);
  });
  if (daemon !== undefined) {
    log.start({ log: start.log, logFormat: "text", debug: start.debug });
    await daemon.listen();
  }
  writeAddress(start);
  answerStarter("address", start.answer);
  daemon?.expect(start);
  await daemon?.ended;
}

class ShimDaemon {
  readonly #paths: ShimPaths;
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
  constructor({ address, namespace, group, paths, ttrpcAddress, bundle, options }: ShimStart) {
    this.#paths = paths;
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
    this.#sandbox = new ShimSandbox(this.#pod, options, paths.sandbox);
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

  /** Begins with what containerd asks for next; another container of a pod needs the pod's own first. */
  expect({ id, group, bundle, options }: ShimStart): void {
    if (id === group) this.#pod.expect(id, bundle, options);
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
