import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { ExitReason } from "./exit-reason.ts";
import type { Machine } from "./machine.ts";
import type { QemuProcess } from "./qemu-process.ts";
import type { QmpClient } from "./qmp.ts";
import { plugShare, unplugShare } from "./share-device.ts";
import type { ShareLink } from "./share-link.ts";
import type { ShareServer } from "./share-server.ts";
import type { MachineType } from "./spec.ts";
import type { StreamPorts } from "./stream-ports.ts";

const REFUSAL_FOLLOWS_MS = 100;

/** What a machine is made of. */
export interface MachineParts {
  qemu: QemuProcess;
  machine: MachineType;
  link: ShareLink;
  share: ShareServer | undefined;
  streamPorts: StreamPorts;
}

export class RunningMachine implements Machine {
  readonly agent: Duplex;
  readonly #parts: MachineParts;

  constructor(parts: MachineParts, agent: Duplex) {
    const { qemu, share } = parts;
    this.#parts = { ...parts, share: undefined };
    this.agent = agent;
    // The agent's client hears of it on its own; without a listener Node would throw it.
    agent.on("error", () => {});
    void qemu.died.then(() => {
      agent.destroy();
      parts.link.close();
      parts.streamPorts.close();
    });
    if (share !== undefined) this.#follow(share);
  }

  get pid(): number {
    return this.#parts.qemu.pid;
  }

  pids(): number[] {
    return [this.pid, ...(this.#parts.share?.pids() ?? [])];
  }

  get machine(): MachineType {
    return this.#parts.machine;
  }

  get qmp(): QmpClient {
    return this.#parts.qemu.qmp;
  }

  get streamPorts(): StreamPorts {
    return this.#parts.streamPorts;
  }

  get died(): Promise<ExitReason> {
    return this.#parts.qemu.died;
  }

  lastConsoleLines(): string[] {
    return this.#parts.qemu.lastConsoleLines();
  }

  get shareWarning(): string | undefined {
    return this.#parts.link.warning;
  }

  async addShare(server: ShareServer, signal: AbortSignal): Promise<void> {
    this.#follow(server);
    await Promise.all(plugShare({ qmp: this.qmp, ...this.#parts }, server.connection, { signal }));
  }

  async removeShare(signal: AbortSignal): Promise<void> {
    const { share } = this.#parts;
    this.#parts.share = undefined;
    await unplugShare(this, signal);
    await share?.kill();
  }

  giveUp(why: string): void {
    this.#parts.qemu.giveUp(why);
  }

  async kill(): Promise<void> {
    this.agent.destroy();
    await Promise.all([this.#parts.qemu.kill(), this.#parts.share?.kill()]);
  }

  /** The guest would wait for its files for ever, and QEMU would not say so. */
  #follow(server: ShareServer): void {
    this.#parts.share = server;
    void server.ended.then(async (how) => {
      // When QEMU refuses the device it ends the connection, and with it the server, a moment before it says why.
      await sleep(REFUSAL_FOLLOWS_MS, undefined, { ref: false });
      if (this.#parts.share === server) this.#parts.qemu.giveUp(`virtiofsd, which serves its files, ${how}`);
    });
    void this.died.then(() => server.kill());
  }
}
