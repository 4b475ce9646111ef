import type { ExecProcessRequest, ProcessExit, ProcessId } from "../../protocol/generated/agent.ts";
import { StreamPorts } from "../vm/stream-ports.ts";
import { type Exit, VM_DEATH_EXIT_CODE } from "./exit-status.ts";
import type { GuestVm } from "./guest-vm.ts";
import type { LiveSupply } from "./live-supply.ts";
import { isOutOfMemory, memoryExhausted } from "./memory-exhausted.ts";
import { abandonStalled } from "./stdio/end-of-output.ts";
import { Following, wantedOf } from "./stdio/following.ts";
import { pumpInput } from "./stdio/input-pump.ts";
import { OutputPump } from "./stdio/output-pump.ts";
import type { ProcessIo } from "./stdio/pump.ts";

/** 128 + SIGKILL. */
const KILLED_EXIT_CODE = 137;
/** How long the agent may take to hang a terminal up. */
const HANG_UP_LIMIT_MS = 30_000;

/** A process that is to be added. */
export type AddedProcess = Omit<ExecProcessRequest, "stdoutBytes" | "stderrBytes"> & { process: ProcessId };

/** A process in the guest whose standard streams are connected to the host's. */
export class GuestProcess {
  readonly id: ProcessId;
  /** The pid in the guest's root pid namespace. */
  readonly pid: number;
  readonly #outputs: readonly OutputPump[];
  readonly #following: Following;
  readonly #io: ProcessIo;
  readonly #supply: LiveSupply | undefined;
  /** Settles once the process has ended; its output may still be on its way. Never rejects. */
  readonly over: Promise<Exit>;
  /** Settles once the process has ended and its output has left the guest. Never rejects. */
  readonly collected: Promise<void>;
  /** Settles once the process has ended and its output is delivered. Never rejects. */
  readonly exit: Promise<Exit>;
  ended = false;

  /**
   * @param told what is told of it.
   * @param supply the container's, of its init: closed with it.
   */
  constructor(vm: GuestVm, id: ProcessId, pid: number, io: ProcessIo, told: Following, supply?: LiveSupply) {
    const { agent, machine } = vm;
    const ways = { agent, ports: machine?.streamPorts ?? StreamPorts.overSockets([]) };
    this.#supply = supply;
    this.id = id;
    this.pid = pid;
    this.#io = io;
    const stdout = io.stdout && new OutputPump(ways, id, "stdout", io.stdout);
    const stderr = io.stderr && new OutputPump(ways, id, "stderr", io.stderr);
    this.#outputs = [stdout, stderr].filter((output) => output !== undefined);
    this.#following = told.attach({ stdout, stderr });
    this.over = this.#end(vm);
    this.collected = this.over.then(() => this.#collect());
    this.exit = this.#deliver();
    const { stallLimitMs } = io;
    if (stallLimitMs !== undefined) void this.over.then(() => this.abandonStalled(stallLimitMs));
    if (io.stdin) pumpInput(ways, id, io.stdin);
    io.terminal?.once("close", () => {
      // Whoever held the terminal has gone: what its programs get then is a hang-up.
      if (this.ended) return;
      agent.call("hangUpTty", { process: id }, { timeoutMs: HANG_UP_LIMIT_MS }).catch(() => {});
    });
  }

  /**
   * Adds a process; it has started when this resolves.
   * @param timeoutMs how long the agent may take.
   * @throws CaissonError as Agent.call().
   */
  static async exec(vm: GuestVm, added: AddedProcess, io: ProcessIo, timeoutMs?: number): Promise<GuestProcess> {
    const { agent } = vm;
    const told = new Following(agent.execProcess({ ...added, ...wantedOf(io) }), "execProcess");
    const { pid } = await told.added(agent.calls, timeoutMs);
    return new GuestProcess(vm, added.process, pid, io, told);
  }

  /** After the process's end: drops output whose reader has not taken any for so long, so that `exit` settles. */
  abandonStalled(limitMs: number): void {
    abandonStalled([this.#io.stdout, this.#io.stderr], limitMs, this.exit);
  }

  async #end(vm: GuestVm): Promise<Exit> {
    try {
      const answer = await this.#following.exit;
      return {
        exitCode: answer.exitCode,
        exitedAt: Date.now(),
        oomKilled: answer.oomKilled,
        memoryExhausted: this.#diedOf(answer) ? memoryExhausted(vm.mostMemoryMib) : undefined,
      };
    } catch (error) {
      const death = await vm.lost(error);
      const exhausted = isOutOfMemory(death) ? memoryExhausted(vm.mostMemoryMib) : undefined;
      const exitedAt = Date.now();
      return { exitCode: VM_DEATH_EXIT_CODE, exitedAt, oomKilled: false, memoryExhausted: exhausted, death };
    } finally {
      this.ended = true;
    }
  }

  /** An added process that was not killed has nothing to do with what was killed in its container. */
  #diedOf({ guestMemoryExhausted, exitCode }: ProcessExit): boolean {
    return guestMemoryExhausted && (this.id.execId === "" || exitCode === KILLED_EXIT_CODE);
  }

  async #collect(): Promise<void> {
    await Promise.all([...this.#outputs.map((output) => output.drained()), this.#supply?.drained()]);
    this.#following.end();
    this.#supply?.close();
  }

  async #deliver(): Promise<Exit> {
    const exit = await this.over;
    await this.collected;
    const { stdin, stdout, stderr } = this.#io;
    if (stdin !== stdout) stdin?.destroy();
    await Promise.all([stdout, stderr].map(finished));
    stdin?.destroy();
    return exit;
  }
}

/** Ends a stream and waits until what was written to it is out. */
function finished(stream: ProcessIo["stdout"]): Promise<void> {
  return new Promise((resolve) => {
    if (stream === undefined || stream.destroyed) return resolve();
    stream.once("close", () => resolve());
    stream.once("error", () => resolve());
    stream.end(() => resolve());
  });
}
