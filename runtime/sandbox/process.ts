import type { ProcessId } from "../../protocol/generated/agent.ts";
import type { Agent } from "../agent-client/client.ts";
import { type Exit, VM_DEATH_EXIT_CODE } from "./exit.ts";
import { OutputPump, type ProcessIo, pumpInput } from "./stdio.ts";

/** A process in the guest whose standard streams are connected to the host's. */
export class GuestProcess {
  readonly id: ProcessId;
  /** As the guest's root pid namespace sees it. */
  readonly pid: number;
  readonly #outputs: OutputPump[] = [];
  /** Settles once the process has ended; its output may still be on its way. Never rejects. */
  readonly over: Promise<Exit>;
  /** Settles once the process has ended and its output is delivered. Never rejects. */
  readonly exit: Promise<Exit>;
  ended = false;

  constructor(agent: Agent, id: ProcessId, pid: number, io: ProcessIo) {
    this.id = id;
    this.pid = pid;
    if (io.stdout) this.#outputs.push(new OutputPump(agent, id, "stdout", io.stdout));
    if (io.stderr) this.#outputs.push(new OutputPump(agent, id, "stderr", io.stderr));
    this.over = this.#end(agent);
    this.exit = this.#deliver(io);
    if (io.stdin) pumpInput(agent, id, io.stdin);
  }

  async #end(agent: Agent): Promise<Exit> {
    try {
      const answer = await agent.call("waitProcess", { process: this.id });
      return { exitCode: answer.exitCode & 0xff, exitedAt: Date.now(), oomKilled: answer.oomKilled };
    } catch {
      return { exitCode: VM_DEATH_EXIT_CODE, exitedAt: Date.now(), oomKilled: false };
    } finally {
      this.ended = true;
    }
  }

  async #deliver(io: ProcessIo): Promise<Exit> {
    const exit = await this.over;
    await Promise.all(this.#outputs.map((output) => output.drained()));
    io.stdin?.destroy();
    await Promise.all([io.stdout, io.stderr].map(finished));
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
