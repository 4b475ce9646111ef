/** VMs that one process starts and another one goes on with. */
import { closeSync, openSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import type { Duplex } from "node:stream";
import { socketpair } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../errors.ts";
import { socketAddress } from "../state/socket-address.ts";
import type { Wiring } from "./command-line.ts";
import { startError } from "./death.ts";
import { LeashedQemu, type LeashHandles } from "./leash.ts";
import { launch, RunningMachine, type StartOptions } from "./machine.ts";
import { QemuProcess } from "./qemu-process.ts";
import { rest } from "./rest.ts";
import { Inheritance, spawnLeashed } from "./spawn.ts";
import type { VmSpec } from "./spec.ts";
import { connectToGuest, randomCid, VHOST_VSOCK } from "./vsock.ts";

/** Where a VM's agent takes one connection after another: a socket of QEMU's, or a vsock address. */
export type AgentAddress = { kind: "virtio-serial"; socket: string } | { kind: "vsock"; cid: number };

/** What it takes to go on with a VM: descriptors of the process that has them, pids, the agent's address. */
export interface MachineHandles extends LeashHandles {
  /** Of QEMU. */
  pid: number;
  qmp: number;
  console: number;
  agent: AgentAddress;
}

/** A VM to be handed over. Until then its agent is spoken with over a connection of our own. */
export class StandbyMachine extends RunningMachine {
  readonly #qemu: QemuProcess;
  readonly #child: LeashedQemu;
  readonly #handles: Omit<MachineHandles, "pid">;

  constructor(qemu: QemuProcess, agent: Duplex, child: LeashedQemu, handles: Omit<MachineHandles, "pid">) {
    super(qemu, agent);
    this.#qemu = qemu;
    this.#child = child;
    this.#handles = handles;
  }

  /** A new connection to its agent, once the one before has been ended. */
  async reconnect(signal: AbortSignal): Promise<Duplex> {
    await rest(this.pid, signal);
    return await reach(this.#handles.agent, this.#qemu, signal);
  }

  /** Stops reading what the VM says. @returns what the next one takes over, while this process is there. */
  handOver(): MachineHandles {
    this.#qemu.pause();
    this.#child.pause();
    return { ...this.#handles, pid: this.#qemu.pid };
  }
}

/**
 * Starts a VM that lives for as long as anybody has its leash.
 * @param socket a path that is free, for its agent's socket.
 * @throws as startMachine() does; nothing is left then.
 */
export async function startStandby(spec: VmSpec, options: StartOptions, socket: string): Promise<StandbyMachine> {
  const inheritance = new Inheritance();
  const [stderr, theirStderr] = socketpair();
  const spawned: { child: LeashedQemu; handles: LeashHandles }[] = [];
  const leash = inheritance.connect();
  let launched: ReturnType<typeof launch>;
  let agent: AgentAddress;
  try {
    const { wiring, address } = agentOf(spec, socket, inheritance);
    agent = address;
    launched = launch(spec, options, inheritance, wiring, (path, argv, descriptors) => {
      const leashPid = spawnLeashed(path, argv, descriptors, { leash: leash.child, stderr: theirStderr });
      const handles = { leash: leash.ours, stderr, leashPid };
      const child = new LeashedQemu(handles);
      spawned.push({ child, handles });
      return child;
    });
  } catch (error) {
    if (spawned.length === 0) for (const fd of [leash.ours, stderr]) closeSync(fd);
    throw error;
  } finally {
    inheritance.closeGiven();
    closeSync(theirStderr);
  }
  const { qemu, qmpFd, consoleFd } = launched;
  const { child, handles } = spawned[0] as (typeof spawned)[0];
  try {
    // Its agent's socket is there once it answers at all.
    await qemu.qmp.execute("query-status", undefined, { signal: options.signal, limitMs: Number.POSITIVE_INFINITY });
    const connection = await reach(agent, qemu, options.signal);
    return new StandbyMachine(qemu, connection, child, { ...handles, qmp: qmpFd, console: consoleFd, agent });
  } catch (error) {
    await qemu.kill();
    throw error;
  }
}

/**
 * Goes on with a VM that was started by startStandby().
 * @param handles descriptors of this process, which are taken over.
 * @throws CAISSON_E_VM_START when it has ended, the signal's reason. It is ended then.
 */
export async function takeOver(spec: VmSpec, handles: MachineHandles, signal: AbortSignal): Promise<RunningMachine> {
  const { pid, qmp, console, agent } = handles;
  const connections = { qmpFd: qmp, consoleFd: console, consoleLog: spec.consoleLog, greeted: true };
  const qemu = new QemuProcess(connections, () => new LeashedQemu(handles, pid));
  try {
    return new RunningMachine(qemu, await reach(agent, qemu, signal));
  } catch (error) {
    await qemu.kill();
    throw error;
  } finally {
    forget(agent);
  }
}

/** Removes what an agent's address is of the file system; those who are connected stay so. */
export function forget(agent: AgentAddress): void {
  if (agent.kind === "virtio-serial") rmSync(agent.socket, { force: true });
}

function agentOf(
  { transport }: VmSpec,
  socket: string,
  inheritance: Inheritance,
): { wiring: Wiring["agent"]; address: AgentAddress } {
  if (transport === "vsock") {
    const cid = randomCid();
    const vhostFd = inheritance.give(openSync(VHOST_VSOCK, "r+"));
    return { wiring: { kind: "vsock", vhostFd, cid }, address: { kind: "vsock", cid } };
  }
  const directoryFd = inheritance.give(openSync(dirname(socket), "r"));
  const wiring = { kind: "virtio-serial-socket", directoryFd, name: basename(socket) } as const;
  return { wiring, address: { kind: "virtio-serial", socket } };
}

async function reach(agent: AgentAddress, qemu: QemuProcess, signal: AbortSignal): Promise<Duplex> {
  const connecting = new AbortController();
  const either = AbortSignal.any([signal, connecting.signal]);
  try {
    const connection = agent.kind === "vsock" ? connectToGuest(agent.cid, either) : connectTo(agent.socket, either);
    const first = await Promise.race([connection, qemu.died]);
    if ("reason" in first) throw startError(first);
    return first;
  } finally {
    connecting.abort();
  }
}

async function connectTo(path: string, signal: AbortSignal): Promise<Socket> {
  using address = socketAddress(path);
  return await new Promise((resolve, reject) => {
    const socket = connect(address.path);
    const stop = () => socket.destroy(signal.reason as Error);
    signal.addEventListener("abort", stop);
    socket.once("connect", () => {
      signal.removeEventListener("abort", stop);
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (cause) => {
      signal.removeEventListener("abort", stop);
      reject(
        signal.aborted
          ? cause
          : new CaissonError("CAISSON_E_TRANSPORT", systemErrorSentence(`connect to the agent at ${path}`, cause), {
              cause,
            }),
      );
    });
  });
}
