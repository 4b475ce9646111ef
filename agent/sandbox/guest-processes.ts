import { readFileSync } from "node:fs";
import { CAPABILITIES } from "../../protocol/capabilities.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { ExecProcessRequest, ProcessExit, SignalProcessRequest } from "../../protocol/generated/agent.ts";
import { checkId } from "../../protocol/id.ts";
import { parseJson } from "../../protocol/json.ts";
import type { Capabilities, Process as ProcessConfig } from "../../protocol/oci.ts";
import { Execs } from "../container/execs.ts";
import { Process } from "../container/process.ts";
import { compileGuestProcess } from "../plan/plan.ts";
import type { Pool } from "../pool/pool.ts";

const MAX_SIGNAL = 64;

/** Processes of the guest itself, outside of its containers: shells of the host's operator. Their container's id is empty. */
export class GuestProcesses {
  readonly #pool: Pool;
  readonly #processes = new Execs();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Adds a process, as root and with all rights; answers with its pid once its program runs. */
  async exec({ process: id, processJson, rows, columns, keepNewlines, noStdin }: ExecProcessRequest): Promise<number> {
    const execId = id?.execId ?? "";
    checkId("process", execId);
    const process = { ...parse(processJson), capabilities: ownCapabilities() };
    const name = `process ${execId} of the guest`;
    const added = await this.#processes.add(execId, name, () => {
      const plan = compileGuestProcess({ process, rows, columns, keepNewlines, noStdin });
      return Process.launch(name, this.#pool.take(), plan, process.terminal === true);
    });
    if (noStdin) added.input.end();
    return added.pid;
  }

  /** Throws CAISSON_E_NOT_FOUND. */
  process(execId: string): Process {
    const process = this.#processes.get(execId);
    if (process === undefined) {
      throw new CaissonError("CAISSON_E_NOT_FOUND", `the guest itself has no process ${JSON.stringify(execId)}`);
    }
    return process;
  }

  signal({ process: id, signal }: SignalProcessRequest): void {
    if (signal > MAX_SIGNAL) throw new CaissonError("CAISSON_E_USAGE", `there is no signal ${signal}`);
    this.process(id?.execId ?? "").signal(signal);
  }

  async wait(execId: string): Promise<ProcessExit> {
    const process = this.process(execId);
    const { exitCode, signal } = await process.exited;
    return { exitCode, signal, exitedAtNs: process.endedAtNs, oomKilled: false, guestMemoryExhausted: false };
  }

  /** Kills all of them, and forgets them. */
  end(): void {
    this.#processes.kill();
    this.#processes.close();
  }
}

/** All that this process has (proc(5), CapPrm): in a VM all that there are. */
function ownCapabilities(): Capabilities {
  const mask = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0"}`);
  const all = CAPABILITIES.filter((_, number) => (mask >> BigInt(number)) & 1n);
  return { bounding: all, effective: all, permitted: all, inheritable: all };
}

function parse(json: Uint8Array): ProcessConfig {
  try {
    return parseJson(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8")) as ProcessConfig;
  } catch (cause) {
    throw new CaissonError("CAISSON_E_CONFIG_INVALID", `the process is no JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
}
