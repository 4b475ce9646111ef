import { constants } from "node:os";
import { realtime } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { ListProcessesResponse, ProcessId, StatsResponse } from "../../protocol/generated/agent.ts";
import { stringifyJson } from "../../protocol/json.ts";
import type { Hook, Process, Resources, Spec } from "../../protocol/oci.ts";
import type { WindowSize } from "../../protocol/terminal.ts";
import { guestProcess } from "../oci/guest-resources.ts";
import { freeMemoryLater } from "../process/free-memory.ts";
import { addSpans, startIsOver } from "../process/spans.ts";
import { diedError, unanswered } from "../vm/exit-reason.ts";
import type { CallLimits, RequestOf, ResponseOf, UnaryName } from "./agent/client.ts";
import type { GuestClock } from "./clock.ts";
import { createRequest, type GuestBundle, hasNoStdin, modeOf, startRequest } from "./create-container-request.ts";
import type { Exit } from "./exit-status.ts";
import { guestSpan, guestSpans } from "./guest-spans.ts";
import type { GuestVm } from "./guest-vm.ts";
import { killInit } from "./kill-init.ts";
import { type Action, type Lifecycle, requireAllowed } from "./lifecycle.ts";
import { GuestProcess } from "./process.ts";
import { Following } from "./stdio/following.ts";
import { keepsNewlines, type ProcessIo } from "./stdio/pump.ts";

const NO_WINDOW = { rows: 0, columns: 0 };
const SIGKILL = constants.signals.SIGKILL;

/** How long the agent may take for a call that does not wait for the container: it does no more than system calls. */
const CALL_LIMIT_MS = 30_000;

/** Hooks in the guest may take what they are given; the call has no limit when one of them has none. */
function callLimit(hooks: readonly Hook[] = []): { timeoutMs?: number } {
  const seconds = hooks.reduce((sum, { timeout }) => sum + (timeout ?? Number.POSITIVE_INFINITY), 0);
  return Number.isFinite(seconds) ? { timeoutMs: CALL_LIMIT_MS + seconds * 1000 } : {};
}

/** A container in a sandbox's VM. Every method throws CAISSON_E_STATE where the lifecycle does not allow it. */
export class Container {
  readonly id: string;
  readonly spec: Spec;
  readonly init: GuestProcess;
  readonly #beforeStart: (pid: number) => Promise<void>;
  readonly #clock: GuestClock | undefined;
  readonly #vm: GuestVm;
  readonly #terminal: ProcessIo["terminal"];
  readonly #execs = new Map<string, GuestProcess>();
  #lifecycle: Exclude<Lifecycle, "stopped"> = "created";
  /** Whether the guest has started it with the call that created it; start() only takes note of that. */
  readonly startsItself: boolean;
  #lastExec = 0;

  private constructor(
    vm: GuestVm,
    id: string,
    { spec, clock, beforeStart = async () => {}, starts = false }: GuestBundle,
    init: GuestProcess,
    terminal: ProcessIo["terminal"],
  ) {
    this.startsItself = starts;
    this.#clock = clock;
    this.#beforeStart = beforeStart;
    this.#vm = vm;
    this.#terminal = terminal;
    this.id = id;
    this.spec = spec;
    this.init = init;
  }

  /**
   * Creates the container in the guest, its init waiting to be started.
   * @throws CaissonError as the agent reports it, naming the configuration's field.
   */
  static async create(
    vm: GuestVm,
    id: string,
    guest: GuestBundle,
    io: ProcessIo,
    terminal = NO_WINDOW,
  ): Promise<Container> {
    const { spec, starts = false, clock } = guest;
    const request = createRequest(id, guest, io, terminal);
    const sentNs = realtime();
    const told = new Following(vm.agent.createContainer(request), "createContainer");
    const { createContainer = [], startContainer = [] } = spec.hooks ?? {};
    const { timeoutMs } = callLimit(starts ? [...createContainer, ...startContainer] : createContainer);
    const { pid, created } = await told.added(vm.agent.calls, timeoutMs);
    if (created !== undefined && starts) {
      // The guest's clock was set right for it.
      addSpans(() => guestSpans(created, 0n));
    } else if (created !== undefined) {
      clock?.sent(sentNs, created.receivedNs);
      clock?.answered(created.answeredNs, realtime());
      addSpans(() => guestSpans(created, clock?.aheadNs));
    }
    const init = new GuestProcess(vm, { containerId: id, execId: "" }, pid, io, told, guest.supply);
    return new Container(vm, id, guest, init, io.terminal);
  }

  /** One call to the agent. @throws CaissonError CAISSON_E_VM_DIED when the VM's death has cut it; else as Agent.call(). */
  async #call<Name extends UnaryName>(
    name: Name,
    request: RequestOf<Name>,
    limits: CallLimits = {},
  ): Promise<ResponseOf<Name>> {
    return await this.#unlessDied(this.#vm.agent.call(name, request, limits));
  }

  async #unlessDied<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      const death = await this.#vm.deathBehind(error);
      throw death === undefined
        ? unanswered(error, this.#vm.machine)
        : diedError(`container ${this.id} has ended`, death);
    }
  }

  get lifecycle(): Lifecycle {
    return this.init.ended ? "stopped" : this.#lifecycle;
  }

  /** Lets the init process go, unless the guest has done so. */
  async start(): Promise<void> {
    this.#require("start");
    await this.#beforeStart(this.init.pid);
    if (!this.startsItself) await this.#letGo();
    startIsOver();
    this.#lifecycle = "running";
    freeMemoryLater();
  }

  async #letGo(): Promise<void> {
    // The holder of a terminal has had time to set it since the container was created.
    if (keepsNewlines(this.#terminal)) await this.#keepNewlines(this.init.id);
    const { receivedNs, answeredNs } = await this.#call(
      "startContainer",
      startRequest(this.id, this.#clock),
      callLimit(this.spec.hooks?.startContainer),
    );
    // The guest's clock was set right for it.
    addSpans(() => [guestSpan("agent", "agent: start container", receivedNs, answeredNs, 0n)]);
  }

  /**
   * Runs one more process; it has started when this resolves.
   * @param cgroup where it begins, below the container's cgroup; see ExecProcessRequest.
   */
  async exec(
    execId: string | undefined,
    process: Process,
    io: ProcessIo,
    mode = NO_WINDOW,
    cgroup = "",
  ): Promise<GuestProcess> {
    this.#require("execIgnoringPause");
    this.#lastExec += 1;
    const id: ProcessId = { containerId: this.id, execId: execId ?? `exec-${this.#lastExec}` };
    if (this.#execs.has(id.execId)) {
      throw new CaissonError("CAISSON_E_ID_IN_USE", `container ${this.id} already has a process "${id.execId}"`);
    }
    const processJson = Buffer.from(stringifyJson(guestProcess(process, this.#vm.vcpus)));
    const request = { process: id, processJson, noStdin: hasNoStdin(io, process), cgroup, ...modeOf(io, mode) };
    // In a paused container it starts when the container is resumed: no limit.
    const timeoutMs = this.#lifecycle === "paused" ? undefined : CALL_LIMIT_MS;
    const started = await this.#unlessDied(GuestProcess.exec(this.#vm, request, io, timeoutMs));
    this.#execs.set(id.execId, started);
    freeMemoryLater();
    // The terminal was handed out just before, and whoever got it may have set it meanwhile.
    if (!request.keepNewlines && keepsNewlines(io.terminal)) await this.#keepNewlines(id).catch(() => {});
    return started;
  }

  /** Forgets an ended exec process, so that its id may be used again. */
  forget(execId: string): void {
    this.#execs.delete(execId);
  }

  /** The process of that id; the container's init for "" or undefined. */
  process(execId: string | undefined): GuestProcess {
    const found = execId ? this.#execs.get(execId) : this.init;
    if (found === undefined) {
      throw new CaissonError("CAISSON_E_NOT_FOUND", `container ${this.id} has no process "${execId}"`);
    }
    return found;
  }

  /**
   * Sends a signal. SIGKILL for the init may end the VM: see killInit().
   */
  async kill(signal: number, options: { all?: boolean; execId?: string | undefined } = {}): Promise<void> {
    this.#require("kill");
    const process = this.process(options.execId).id;
    const all = options.all ?? false;
    try {
      if (signal === SIGKILL && (all || process.execId === "")) await killInit(this.#vm, this.init, all);
      else await this.#vm.agent.call("signalProcess", { process, signal, all }, { timeoutMs: CALL_LIMIT_MS });
    } catch (error) {
      // Whatever it was sent, it has ended with its VM, as a process that ends takes any signal.
      if ((await this.#vm.deathBehind(error)) === undefined) throw error;
    }
  }

  async #keepNewlines(process: ProcessId): Promise<void> {
    await this.#call("setTtyNewlines", { process, keepNewlines: true }, { timeoutMs: CALL_LIMIT_MS });
  }

  async resize(window: WindowSize, execId?: string): Promise<void> {
    const process = this.process(execId).id;
    await this.#call("resizeTty", { process, ...window }, { timeoutMs: CALL_LIMIT_MS });
  }

  async closeStdin(execId?: string): Promise<void> {
    await this.#call("closeStdin", { process: this.process(execId).id }, { timeoutMs: CALL_LIMIT_MS });
  }

  async pause(): Promise<void> {
    this.#require("pause");
    await this.#call("pauseContainer", { containerId: this.id }, { timeoutMs: CALL_LIMIT_MS });
    this.#lifecycle = "paused";
  }

  async resume(): Promise<void> {
    this.#require("resume");
    await this.#call("resumeContainer", { containerId: this.id }, { timeoutMs: CALL_LIMIT_MS });
    this.#lifecycle = "running";
  }

  async update(resources: Resources): Promise<void> {
    this.#require("update");
    const request = { containerId: this.id, resourcesJson: Buffer.from(stringifyJson(resources)) };
    await this.#call("updateContainer", request, { timeoutMs: CALL_LIMIT_MS });
  }

  /** The container's processes as the guest's root pid namespace sees them. */
  processes(): Promise<ListProcessesResponse> {
    this.#require("ps");
    return this.#call("listProcesses", { containerId: this.id }, { timeoutMs: CALL_LIMIT_MS });
  }

  stats(): Promise<StatsResponse> {
    this.#require("stats");
    return this.#call("stats", { containerId: this.id }, { timeoutMs: CALL_LIMIT_MS });
  }

  /** Resolves with how the process ended, once its output is delivered. */
  wait(execId?: string): Promise<Exit> {
    return this.process(execId).exit;
  }

  /** Removes the container from the guest; kills what is left of it. */
  async delete(): Promise<void> {
    await this.#call("deleteContainer", { containerId: this.id, force: true }, { timeoutMs: CALL_LIMIT_MS });
  }

  #require(action: Action): void {
    requireAllowed(action, this.id, this.lifecycle);
  }
}
