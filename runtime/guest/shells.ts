import { CaissonError } from "../../protocol/errors.ts";
import type { ProcessId } from "../../protocol/generated/agent.ts";
import { stringifyJson } from "../../protocol/json.ts";
import type { Process } from "../../protocol/oci.ts";
import type { TerminalMode, WindowSize } from "../../protocol/terminal.ts";
import type { GuestVm } from "./guest-vm.ts";
import { GuestProcess } from "./process.ts";
import type { ProcessIo } from "./stdio/pump.ts";

const CALL_LIMIT_MS = 30_000;
const MOST_SHELLS = 16;

/** Processes of the guest itself, outside of its containers: for the host's operator. */
export class Shells {
  readonly #vm: GuestVm;
  readonly #running = new Map<string, GuestProcess>();
  #last = 0;

  constructor(vm: GuestVm) {
    this.#vm = vm;
  }

  /** Runs a process as root of the guest; it has started when this resolves. Throws as the agent does; CAISSON_E_STATE for too many. */
  async start(process: Process, io: ProcessIo, mode: TerminalMode | undefined): Promise<GuestProcess> {
    if (this.#running.size >= MOST_SHELLS) {
      throw new CaissonError("CAISSON_E_STATE", `there are ${MOST_SHELLS} shells in the guest already`);
    }
    this.#last += 1;
    const id: ProcessId = { containerId: "", execId: `shell-${this.#last}` };
    const { rows = 0, columns = 0, keepNewlines = false } = mode ?? {};
    const request = {
      process: id,
      processJson: Buffer.from(stringifyJson(process)),
      noStdin: io.stdin === undefined,
      cgroup: "",
      rows,
      columns,
      keepNewlines,
    };
    const shell = await GuestProcess.exec(this.#vm, request, io, CALL_LIMIT_MS);
    this.#running.set(id.execId, shell);
    return shell;
  }

  /** Throws CAISSON_E_NOT_FOUND. */
  get(id: string): GuestProcess {
    const shell = this.#running.get(id);
    if (shell === undefined) throw new CaissonError("CAISSON_E_NOT_FOUND", `there is no shell "${id}" in the guest`);
    return shell;
  }

  /** Of one that has ended. */
  forget(id: string): void {
    this.#running.delete(id);
  }

  async kill(id: string, signal: number): Promise<void> {
    const process = this.get(id).id;
    await this.#vm.agent.call("signalProcess", { process, signal, all: false }, { timeoutMs: CALL_LIMIT_MS });
  }

  async resize(id: string, { rows, columns }: WindowSize): Promise<void> {
    const process = this.get(id).id;
    await this.#vm.agent.call("resizeTty", { process, rows, columns }, { timeoutMs: CALL_LIMIT_MS });
  }
}
