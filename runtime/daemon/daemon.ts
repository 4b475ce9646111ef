import { once } from "node:events";
import { rmSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import { loadSettings } from "../config/load.ts";
import type { DaemonLog } from "../control/daemon-log.ts";
import { ControlListener } from "../control/listener.ts";
import type { CommandOutcome, CreateParams, JoinParams, Launch } from "../control/protocol.ts";
import { type Handlers, serveControl } from "../control/server.ts";
import { VM_DEATH_EXIT_CODE } from "../guest/exit-status.ts";
import { countStart } from "../metrics/start-phases.ts";
import { rememberFailure } from "../metrics/totals.ts";
import { now } from "../process/clock.ts";
import { deadline } from "../process/deadline.ts";
import { endProcess } from "../process/end.ts";
import { onForwardedSignals } from "../process/forwarded-signals.ts";
import { endInWords } from "../process/last-words.ts";
import { STARTER_FD } from "../process/spawn-self.ts";
import { tracePhase, traceTo, writeTrace } from "../process/trace.ts";
import { type PlacedBundle, readPlaced } from "../sandbox/placement.ts";
import { Pod } from "../sandbox/pod.ts";
import type { PodContainer } from "../sandbox/pod-container.ts";
import type { ContainerRecord } from "../state/container-record.ts";
import { statePaths } from "../state/paths.ts";
import { makeOwnDirectory } from "../state/store.ts";
import { enterPrivateMountNamespace } from "../storage/mount-namespace.ts";
import { codeOf, formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { dropStandardStreams } from "./client-io.ts";
import { containerHandlers } from "./container-handlers.ts";
import { createOwn, type OwnContainer } from "./create.ts";
import { JoinedContainers } from "./join.ts";
import { launchContainer, requirePlain } from "./launch.ts";
import { endReason, tellLoss } from "./loss.ts";
import type { Monitor } from "./monitor.ts";

export { exercise } from "../snapshot/exercise.ts";

/** How long containers whose VM has gone may take to tell. */
const JOINED_LIMIT_MS = 2000;

/**
 * Runs one sandbox for the CLI verbs. Its pid is the OCI pid of the container that the sandbox is for, whose exit code it
 * ends with: engines wait for it and take the exit code from it.
 * @param launch what the caller may ask for as a whole.
 */
export async function runDaemon(logging: DaemonLog, launch?: Launch): Promise<never> {
  endInWords({ exitCode: VM_DEATH_EXIT_CODE });
  const inherited = new Socket({ fd: STARTER_FD });
  try {
    enterPrivateMountNamespace();
    log.start(logging);
    await traceTo(logging.trace, "daemon");
    tracePhase("daemon: load", 0);
  } catch (error) {
    return await refuseAll(inherited, error);
  }
  // Without a log file our standard error is the container's, where only a loss of the container may be told.
  if (logging.log === undefined && !logging.debug) log.level = "error";
  const exitCode = await new Daemon(inherited, logging, launch).ended;
  writeTrace();
  endProcess(exitCode);
}

/** Answers the first request with what keeps this process from being a daemon, and ends it. */
async function refuseAll(inherited: Socket, error: unknown): Promise<never> {
  const reject = () => Promise.reject(error);
  const handlers = {
    ...containerHandlers(() => undefined as never),
    create: reject,
    launch: reject,
    join: reject,
    detach: reject,
  };
  serveControl(inherited, () => handlers);
  await once(inherited, "close").catch(() => {});
  process.exit(1);
}

/** What the daemon is for. */
type Life =
  | { phase: "idle" }
  /** `create` is at work; aborting it takes everything back. */
  | { phase: "creating"; abort: AbortController }
  /** The container is created, running, paused or just ended: it knows which. */
  | ({ phase: "alive" } & OwnContainer)
  /** The container is in the VM of another daemon. */
  | { phase: "monitoring"; monitor: Monitor }
  /** All containers of the VM have monitors: it is nobody's own, and outlives the one that it was started for. */
  | { phase: "pod"; pod: Pod };

const PLACES = { own: "its own", pod: "a new one, for its pod" };

class Daemon {
  readonly #listener = new ControlListener(
    () => (this.#life.phase === "monitoring" ? this.#own : { ...this.#own, ...this.#alone }),
    () => (this.#life.phase === "monitoring" ? this.#life.monitor.verbs : undefined),
  );
  readonly #joined = new JoinedContainers((params, record) => this.#podFor(params, record));
  readonly #ended = Promise.withResolvers<number>();
  readonly #logging: DaemonLog;
  readonly #launch: Launch | undefined;
  /** What has been read for a launch. */
  #placed: PlacedBundle | undefined;
  #life: Life = { phase: "idle" };
  #detached = false;
  #abandoned = false;

  /** The connection of the process that started us: unless it says `detach`, the container's life hangs on it. */
  constructor(inherited: Socket, logging: DaemonLog, launch: Launch | undefined) {
    this.#logging = logging;
    this.#launch = launch;
    this.#listener.serve(inherited);
    const gone = () => {
      inherited.off("end", gone).off("close", gone);
      if (!this.#detached) this.#abandon();
    };
    // The end comes some turns before the close.
    inherited.on("end", gone).on("close", gone);
    // Sent to the OCI pid they are meant for the container's process: engines do not always ask the runtime to kill.
    onForwardedSignals((signal) => this.#signalled(signal));
  }

  /** Resolves with the code to exit with, once nothing of the sandbox is left running. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  readonly #own: Pick<Handlers, "create" | "launch" | "join" | "detach"> = {
    create: (params) => this.#create(params),
    launch: () => this.#carryOut(this.#launch),
    join: (params, connection) => this.#joined.join(params, connection),
    detach: async () => this.#detach(),
  };

  readonly #alone = containerHandlers(() => this.#alive());

  #alive(): PodContainer {
    if (this.#life.phase === "alive") return this.#life.container;
    throw new CaissonError("CAISSON_E_STATE", "the container is not created yet");
  }

  #detach(): void {
    this.#detached = true;
    if (this.#life.phase === "alive") this.#life.letGo();
    // The streams of a container in another daemon's VM have been taken by that daemon.
    else if (this.#life.phase === "monitoring") dropStandardStreams(0, 1, 2);
  }

  /** @throws what the command line is to find out for itself; nothing was done then. */
  async #carryOut(launch: Launch | undefined): Promise<CommandOutcome> {
    if (launch === undefined)
      throw new CaissonError("CAISSON_E_USAGE", "there are no words that the daemon can carry out");
    const { create, leaves, starts } = launch;
    this.#placed = readPlaced(create.bundle, create.root);
    requirePlain(launch, this.#placed);
    return await launchContainer(launch, {
      create: () => this.#create(create, { removes: !leaves, starts }),
      start: () => this.#alive().start(),
      detach: async () => this.#detach(),
    });
  }

  /** @param next as of createOwn(). */
  async #create(params: CreateParams, next = { removes: false, starts: false }): Promise<{ pid: number }> {
    if (this.#life.phase !== "idle") throw new CaissonError("CAISSON_E_STATE", "the container is created already");
    const abort = new AbortController();
    this.#life = { phase: "creating", abort };
    countStart();
    try {
      // That a caller is gone already is read a turn after its request; nobody would remove what is made for it.
      await nextTurn();
      await nextTurn();
      abort.signal.throwIfAborted();
      const reading = now();
      const placed = this.#placed ?? readPlaced(params.bundle, params.root);
      for (const warning of placed.warnings) log.warning(warning);
      tracePhase("read bundle", reading);
      const { placement, bundle, rootfs } = placed;
      log.debug("the container's place", {
        vm: placement.kind === "with" ? `that of container ${placement.id}` : PLACES[placement.kind],
        bundle,
        rootfs,
      });
      if (placed.placement.kind === "own") {
        const own = await createOwn(params, placed, abort.signal, next);
        this.#life = { phase: "alive", ...own };
        await this.#listener.listen(statePaths(params.root, params.id).controlSocket);
        void this.#follow(own);
      } else {
        const { Monitor } = await import("./monitor.ts");
        const monitor = await Monitor.begin(params, placed, this.#logging, abort.signal);
        this.#life = { phase: "monitoring", monitor };
        void monitor.exit().then((exitCode) => this.#leave(exitCode));
      }
      return { pid: process.pid };
    } catch (error) {
      setImmediate(() => void this.#leave(1));
      rememberFailure({ sandbox: params.id, code: codeOf(error), message: formatError(error) });
      throw error;
    }
  }

  /** The VM for one more container; the first that is asked for by another process starts it. */
  #podFor(params: JoinParams, record: ContainerRecord): Pod {
    if (this.#life.phase === "idle") this.#life = { phase: "pod", pod: this.#newPod(params, record) };
    if (this.#life.phase === "pod" || this.#life.phase === "alive") return this.#life.pod;
    throw new CaissonError("CAISSON_E_STATE", "the container is not created yet");
  }

  #newPod({ root, settings: file }: JoinParams, record: ContainerRecord): Pod {
    const settings = loadSettings(file);
    // Not the first container's directory, which may go before the others do.
    const directory = makeOwnDirectory(root);
    const pod = new Pod({
      id: record.state.id,
      settings,
      share: join(directory, "share"),
      consoleLog: join(directory, "console.log"),
      ends: "with the last",
      isOwn: () => false,
      record,
    });
    void pod.over.then(async () => {
      rmSync(directory, { recursive: true, force: true });
      await this.#joined.over();
      // An error is answered first.
      setImmediate(() => void this.#leave(0));
    });
    return pod;
  }

  /** Waits for the container's end, with which the sandbox ends. */
  async #follow({ container: own, remove }: OwnContainer): Promise<void> {
    const { container } = own;
    const exit = await own.ended;
    const reason = endReason(`Container ${container.id}`, exit);
    if (reason !== undefined) tellLoss(reason);
    if (exit.death !== undefined && reason !== undefined) {
      rememberFailure({ sandbox: container.id, code: "CAISSON_E_VM_DIED", message: reason });
    }
    const ending = now();
    await own.remove();
    await deadline(this.#joined.over(), JOINED_LIMIT_MS);
    // Without the VM it waits here for whoever reads the last output, until `delete`.
    await container.wait();
    // Whoever asked for that tells what keeps it from being removed.
    if (!this.#abandoned) await remove?.().catch((error: unknown) => log.debug(formatError(error)));
    tracePhase("end sandbox", ending);
    await this.#leave(exit.exitCode);
  }

  #signalled(signal: number): void {
    const life = this.#life;
    if (life.phase === "alive") void life.container.container.kill(signal).catch(() => {});
    else if (life.phase === "monitoring") life.monitor.kill(signal);
    // A pod's daemon is nobody's OCI pid.
    else if (life.phase !== "pod" && signal !== constants.signals.SIGHUP) this.#abandon();
  }

  /** The process that the container's life hung on is gone. */
  #abandon(): void {
    this.#abandoned = true;
    const life = this.#life;
    if (life.phase === "idle") void this.#leave(1);
    else if (life.phase === "pod" && life.pod.isNew) void life.pod.end();
    else if (life.phase === "creating") life.abort.abort(new CaissonError("CAISSON_E_USAGE", "the caller went away"));
    else if (life.phase === "monitoring") life.monitor.abandon();
    else if (life.phase === "alive") void life.container.shutDown().catch((error) => log.error(formatError(error)));
  }

  /** Lets the last answers out, then ends. */
  async #leave(exitCode: number): Promise<void> {
    await this.#listener.close();
    this.#ended.resolve(exitCode);
  }
}
