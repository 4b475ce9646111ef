import { closeSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connectUnix, listenUnix, sendFds } from "../../../native/posix/index.ts";
import { CaissonError } from "../../../protocol/errors.ts";
import { socketAddress } from "../../state/socket-address.ts";
import { InheritedFds } from "../../vm/inherited-fds.ts";
import { launch } from "../../vm/launch.ts";
import type { CloneSource } from "../../vm/machine.ts";
import type { MachineParts } from "../../vm/running-machine.ts";
import { plugShare, unplugShare } from "../../vm/share-device.ts";
import type { ShareServer } from "../../vm/share-server.ts";
import { spawnForkServer } from "../../vm/spawn.ts";
import type { VmSpec } from "../../vm/spec.ts";
import { DESCRIPTION_FILE, type Description, type Roles, SOCKET_FILE } from "./fork-server.ts";

const READY = "ready";
const AGENT_SOCKET = "agent.sock";
/** The server tries for 3 s to stop its threads (native/fork-server/threads.c). */
const ANSWER_LIMIT_MS = 30_000;

interface Parts {
  machine: MachineParts;
  /** Resolves when QEMU runs: what launch() has returned. */
  runs: Promise<void>;
  /** Where its sockets are until it serves. */
  folder: string;
  /** Our end of the connection on which it is told to serve. */
  maker: number;
  roles: Roles;
  /** Our ends of QEMU's sockets. */
  ends: readonly number[];
}

/** A clone that is to be forked. Until it serves its agent can be spoken with, and it ends with this process. */
export class FutureForkServer implements AsyncDisposable {
  readonly #parts: Parts;
  #serves = false;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Clones the template.
   * @param folder of its own, on the template's file system, for what it makes until it serves.
   * @throws as startMachine() does.
   */
  static async start(spec: VmSpec, clone: CloneSource, folder: string, signal: AbortSignal): Promise<FutureForkServer> {
    const inheritance = new InheritedFds();
    const { child, ours: maker } = inheritance.connect();
    const share = inheritance.connect();
    try {
      const listener = inheritance.give(listen(join(folder, SOCKET_FILE)));
      const agent = inheritance.give(listen(join(folder, AGENT_SOCKET)));
      const { parts, runs, wiring, libraryFd, ends } = launch(
        spec,
        { signal, clone },
        inheritance,
        { agent: { kind: "virtio-serial-listener", fd: agent }, copiesShareFd: share.child },
        (start) => spawnForkServer(start, { maker: child, listener }),
      );
      const taps = wiring.networks.map(({ tapFd }) => tapFd);
      const roles = {
        qmp: wiring.qmpFd,
        console: wiring.consoleFd,
        agent,
        library: libraryFd,
        share: share.child,
        taps,
        streams: wiring.streamFds,
      };
      return new FutureForkServer({ machine: parts, runs, folder, maker, roles, ends: [...ends, share.ours] });
    } catch (error) {
      closeSync(maker);
      closeSync(share.ours);
      throw error;
    } finally {
      inheritance.closeGiven();
    }
  }

  get pid(): number {
    return this.#parts.machine.qemu.pid;
  }

  /** Gives its guest a shared directory, until removeShare(); the server stays the caller's. Throws as Machine.addShare(). */
  async addShare({ connection }: ShareServer, signal: AbortSignal): Promise<void> {
    const { machine, runs } = this.#parts;
    await runs;
    await Promise.all(plugShare({ qmp: machine.qemu.qmp, ...machine }, connection, { signal }));
  }

  /** Throws as Machine.removeShare(). */
  async removeShare(signal: AbortSignal): Promise<void> {
    await unplugShare(this.#parts.machine.qemu, signal);
  }

  /** A connection to its agent. There can be one at a time. */
  connect(): Socket {
    using address = socketAddress(join(this.#parts.folder, AGENT_SOCKET));
    return new Socket({ fd: connectUnix(address.path), readable: true, writable: true });
  }

  /**
   * Stops the guest for good: from now on it is only forked, by whoever finds it in the template's folder, and outlives this process.
   * @throws CAISSON_E_VM_START when it cannot be forked; the signal's reason.
   */
  async serve(templateFolder: string, signal: AbortSignal): Promise<void> {
    const { machine, folder, roles, ends } = this.#parts;
    await machine.qemu.qmp.execute("stop", undefined, { signal });
    const description: Description = { pid: this.pid, roles };
    // QEMU closes what nobody has the other end of.
    sendFds(this.#parts.maker, ends, Buffer.of(0));
    const maker = new Socket({ fd: this.#parts.maker, readable: true, writable: true });
    const answer = await answerOf(maker, signal);
    if (answer !== READY) {
      throw new CaissonError("CAISSON_E_VM_START", `QEMU cannot be forked: ${answer.replace(/^error /, "")}`);
    }
    writeFileSync(join(folder, DESCRIPTION_FILE), JSON.stringify(description), { mode: 0o600 });
    for (const name of [DESCRIPTION_FILE, SOCKET_FILE]) renameSync(join(folder, name), join(templateFolder, name));
    this.#serves = true;
    await new Promise<void>((resolve) => maker.end("found", () => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#serves) await this.#parts.machine.qemu.kill();
  }
}

/** What a QEMU says that was told to serve. One without our library keeps the connection open, and says nothing. */
export async function answerOf(maker: Socket, signal: AbortSignal, limitMs = ANSWER_LIMIT_MS): Promise<string> {
  const limit = AbortSignal.timeout(limitMs);
  for await (const line of createInterface({ input: maker, signal: AbortSignal.any([signal, limit]) })) return line;
  signal.throwIfAborted();
  return limit.aborted ? `it did not answer within ${limitMs / 1000} s` : "it ended without a word";
}

function listen(path: string): number {
  using address = socketAddress(path);
  rmSync(path, { force: true });
  return listenUnix(address.path);
}
