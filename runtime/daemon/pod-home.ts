import { rmSync } from "node:fs";
import { join } from "node:path";
import { SharedCgroup } from "../cgroup/cgroup.ts";
import { applyAnnotations, loadSettings } from "../config/load.ts";
import type { JoinParams } from "../control/protocol.ts";
import { hostSize } from "../factory/vm-config.ts";
import { rememberFailure } from "../metrics/totals.ts";
import type { Guest } from "../sandbox/guest.ts";
import { Sandbox } from "../sandbox/sandbox.ts";
import { podSize } from "../sandbox/spec/pod-size.ts";
import { makeOwnDirectory, writeState } from "../state/store.ts";
import { log } from "../text/log.ts";
import { diedError } from "../vm/exit-reason.ts";
import type { Creation } from "./creation.ts";
import type { Home } from "./members.ts";

/** A VM whose containers all are members: it is nobody's own, and outlives the one that it was started for. */
export class PodHome implements Home {
  readonly directory: string;
  readonly #sandbox: Sandbox;
  readonly #first: { creation: Creation | undefined };
  /** Path of the cgroup that it is in. */
  #cgroup: string;

  private constructor(directory: string, sandbox: Sandbox, first: { creation: Creation | undefined }) {
    this.directory = directory;
    this.#sandbox = sandbox;
    this.#cgroup = sandbox.cgroup.path;
    this.#first = first;
  }

  /** Starts the VM in the cgroup and the network namespace of its first container. Nothing is left when it throws. */
  static async start(params: JoinParams, signal: AbortSignal): Promise<PodHome> {
    const { root, record, config } = params;
    const settings = applyAnnotations(loadSettings(params.settings), config.annotations);
    // Not the first container's directory, which may go before the others do.
    const directory = makeOwnDirectory(root);
    const first: { creation: Creation | undefined } = { creation: undefined };
    try {
      const sandbox = await Sandbox.start({
        id: record.id,
        config,
        settings,
        size: podSize(config, settings, hostSize()),
        cgroup: record.cgroup,
        share: join(directory, "share"),
        consoleLog: join(directory, "console.log"),
        onCgroup: (folders) => {
          record.cgroupFolders = folders;
          writeState(root, record);
        },
        onNetwork: (network) => {
          record.network = network;
          if (first.creation === undefined) writeState(root, record);
          else first.creation.recordNetwork(network);
        },
        signal,
      });
      void sandbox.guest.died.then((death) => {
        if (death.reason === "killed") return;
        const { code, message } = diedError(`the sandbox of ${record.id} is lost`, death);
        log.error(message);
        rememberFailure({ sandbox: record.id, code, message });
      });
      return new PodHome(directory, sandbox, first);
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get guest(): Guest {
    return this.#sandbox.guest;
  }

  created(creation: Creation): void {
    this.#first.creation ??= creation;
  }

  /** Goes to one of these cgroups unless it is in one of them: `delete` kills what it finds in the cgroup of a container. */
  moveInto(cgroups: readonly string[]): void {
    const [other] = cgroups;
    if (other === undefined || cgroups.includes(this.#cgroup)) return;
    // What a hook of the first container has left stays in its cgroup, and goes with it.
    new SharedCgroup(other).adopt([process.pid, ...this.guest.machine.pids()]);
    this.#sandbox.cgroup.giveUp();
    this.#cgroup = other;
  }

  async end(): Promise<void> {
    await this.#sandbox.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
