import { createServer, type Server, Socket } from "node:net";
import { constants } from "node:os";
import { CaissonError } from "../../protocol/errors.ts";
import { log } from "../log.ts";
import { type Exit, VM_DEATH_EXIT_CODE } from "../sandbox/exit.ts";
import type { GuestProcess } from "../sandbox/process.ts";
import { onForwardedSignals } from "../signals.ts";
import { socketAddress } from "../state/socket-address.ts";
import { enterPrivateMountNamespace } from "../storage/mount-namespace.ts";
import { now, tracePhase, traceTo, writeTrace } from "../trace.ts";
import { diedError } from "../vm/death.ts";
import { type Creation, createFromBundle } from "./creation.ts";
import type { CreateParams, ExecParams, ExitStatus } from "./protocol.ts";
import { toContainerProcesses, toStats } from "./readings.ts";
import { type Handlers, serveControl } from "./server.ts";
import type { DaemonLog } from "./spawn.ts";
import { clientIo } from "./stdio.ts";

/** Where the daemon finds the connection to the CLI that started it. */
const INHERITED_FD = 3;
const SIGKILL = constants.signals.SIGKILL;
/** How long a container that is shut down may take to end and flush its files, before its VM is killed under it. */
const SHUTDOWN_LIMIT_MS = 10_000;
/** How long the last answers may take to leave for clients that do not read. */
const FAREWELL_LIMIT_MS = 200;

/**
 * Runs one sandbox with one container for the CLI verbs, and ends this process with the container's exit code. Its pid is
 * the OCI pid: engines wait for it and take the exit code from it.
 */
export async function runDaemon(logging: DaemonLog): Promise<never> {
  enterPrivateMountNamespace();
  traceTo(logging.trace, "daemon");
  tracePhase("daemon: load", 0);
  log.start(logging);
  // Without a log file our standard error is the container's, where only a loss of the container may be told.
  if (logging.log === undefined && !logging.debug) log.level = "error";
  const exitCode = await new Daemon(new Socket({ fd: INHERITED_FD })).ended;
  writeTrace();
  process.exit(exitCode);
}

/** The life of the daemon's one container. */
type Life =
  | { phase: "idle" }
  /** `create` is at work; aborting it takes everything back. */
  | { phase: "creating"; abort: AbortController }
  /** The container is created, running, paused or just ended: it knows which. */
  | { phase: "alive"; creation: Creation };

class Daemon {
  readonly #connections = new Set<Socket>();
  readonly #ended = Promise.withResolvers<number>();
  #server: Server | undefined;
  #life: Life = { phase: "idle" };
  #detached = false;

  /** The connection of the CLI that started us: unless it says `detach`, the container's life hangs on it. */
  constructor(inherited: Socket) {
    this.#serve(inherited);
    inherited.once("close", () => {
      if (!this.#detached) this.#abandon();
    });
    // Sent to the OCI pid they are meant for the container's process: engines do not always ask the runtime to kill.
    onForwardedSignals((signal) => this.#signalled(signal));
  }

  /** Resolves with the code to exit with, once nothing of the sandbox is left running. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  #serve(connection: Socket): void {
    this.#connections.add(connection);
    connection.once("close", () => this.#connections.delete(connection));
    serveControl(connection, this.#handlers);
  }

  readonly #handlers: Handlers = {
    create: (params) => this.#create(params),
    start: async () => {
      await this.#alive().start();
      return {};
    },
    detach: async () => {
      this.#detached = true;
      return {};
    },
    kill: async ({ signal, all, execId }) => {
      await this.#alive().container.kill(signal, { all, execId });
      return {};
    },
    exec: (params, connection) => this.#exec(params, connection),
    wait: async ({ execId }) => toExitStatus(await this.#alive().container.wait(execId)),
    resize: async ({ rows, columns, execId }) => {
      await this.#alive().container.resize({ rows, columns }, execId);
      return {};
    },
    ps: async () => ({ processes: toContainerProcesses((await this.#alive().container.processes()).processes) }),
    pause: async () => {
      const creation = this.#alive();
      await creation.container.pause();
      creation.record("paused");
      return {};
    },
    resume: async () => {
      const creation = this.#alive();
      await creation.container.resume();
      creation.record("running");
      return {};
    },
    update: async ({ resources }) => {
      const { sandbox, container } = this.#alive();
      await sandbox.update(container, resources);
      return {};
    },
    stats: async () => ({ stats: toStats(await this.#alive().container.stats()) }),
    shutdown: async () => {
      await this.#shutDown();
      return {};
    },
  };

  #alive(): Creation {
    if (this.#life.phase === "alive") return this.#life.creation;
    throw new CaissonError("CAISSON_E_STATE", "the container is not created yet");
  }

  async #create(params: CreateParams): Promise<{ pid: number }> {
    if (this.#life.phase !== "idle") throw new CaissonError("CAISSON_E_STATE", "the container is created already");
    const abort = new AbortController();
    this.#life = { phase: "creating", abort };
    try {
      const creation = await createFromBundle(params, abort.signal);
      this.#life = { phase: "alive", creation };
      await this.#listen(creation);
      void this.#follow(creation);
      return { pid: process.pid };
    } catch (error) {
      setImmediate(() => void this.#leave(1));
      throw error;
    }
  }

  async #listen({ controlSocket }: Creation): Promise<void> {
    const server = createServer((connection) => this.#serve(connection));
    this.#server = server;
    // Kept for as long as the server: libuv unlinks the path that it was given.
    const address = socketAddress(controlSocket);
    server.once("close", () => address[Symbol.dispose]());
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address.path, resolve);
    });
  }

  /** The process's end is the connection's: a client that is killed must not leave its process behind. */
  async #exec(params: ExecParams, connection: Socket): Promise<{ execId: string; pid: number }> {
    const { container } = this.#alive();
    const { execId, process, stdio, window, ignorePaused } = params;
    if (container.lifecycle === "paused" && !ignorePaused) {
      throw new CaissonError("CAISSON_E_STATE", `cannot exec in container ${container.id}: it is paused`);
    }
    const io = clientIo(stdio, process.terminal === true);
    let started: GuestProcess;
    try {
      started = await container.exec(execId, process, io, window);
    } catch (error) {
      for (const stream of [io.stdin, io.stdout, io.stderr]) stream?.destroy();
      throw error;
    }
    const { id, pid } = started;
    if (!params.detached) {
      const kill = () => void container.kill(SIGKILL, { execId: id.execId }).catch(() => {});
      if (connection.destroyed) kill();
      else connection.once("close", kill);
      started.exit.then(() => connection.off("close", kill));
    }
    return { execId: id.execId, pid };
  }

  /** Waits for the container's end and ends the sandbox with it. */
  async #follow(creation: Creation): Promise<void> {
    const { sandbox, container } = creation;
    const exit = await container.wait();
    await creation.settled();
    if (exit.exitCode === VM_DEATH_EXIT_CODE) {
      const death = await Promise.race([sandbox.died, delay(FAREWELL_LIMIT_MS)]);
      if (death !== undefined && death.reason !== "killed") {
        log.error(diedError(`Container ${container.id} is lost`, death).message);
      }
    }
    const ending = now();
    creation.record("stopped", exit.exitCode);
    await creation.end();
    tracePhase("end sandbox", ending);
    await this.#leave(exit.exitCode);
  }

  #signalled(signal: number): void {
    const life = this.#life;
    if (life.phase === "alive") void life.creation.container.kill(signal).catch(() => {});
    else if (signal !== constants.signals.SIGHUP) this.#abandon();
  }

  /** The CLI that the container's life hung on is gone. */
  #abandon(): void {
    const life = this.#life;
    if (life.phase === "idle") void this.#leave(1);
    else if (life.phase === "creating") life.abort.abort(new CaissonError("CAISSON_E_USAGE", "the caller went away"));
    else void this.#shutDown().catch((error: Error) => log.error(error.message));
  }

  /** Kills the container, which ends the sandbox through #follow; the VM goes first if the container takes too long. */
  async #shutDown(): Promise<void> {
    const creation = this.#alive();
    const { container } = creation;
    creation.abortHooks();
    if (container.lifecycle !== "stopped") {
      const killed = container.kill(SIGKILL, { all: true }).then(() => container.wait());
      await Promise.race([killed.catch(() => {}), delay(SHUTDOWN_LIMIT_MS)]);
    }
    await creation.end();
  }

  /** Lets the last answers out, then ends. */
  async #leave(exitCode: number): Promise<void> {
    this.#server?.close();
    const farewells = [...this.#connections].map(
      (connection) => new Promise<void>((resolve) => connection.end(() => resolve())),
    );
    await Promise.race([Promise.all(farewells), delay(FAREWELL_LIMIT_MS)]);
    this.#ended.resolve(exitCode);
  }
}

function toExitStatus({ exitCode, exitedAt }: Exit): ExitStatus {
  return { exitCode, exitedAt };
}

function delay(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms).unref());
}
