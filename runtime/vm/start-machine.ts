import { Socket } from "node:net";
import { CaissonError } from "../../protocol/errors.ts";
import { STREAM_PORTS } from "../../protocol/guest-contract.ts";
import { startError } from "./exit-reason.ts";
import { InheritedFds } from "./inherited-fds.ts";
import { launch, type Spawn } from "./launch.ts";
import type { Machine, StartOptions } from "./machine.ts";
import { openForVm } from "./open.ts";
import { type MachineParts, RunningMachine } from "./running-machine.ts";
import type { VmSpec } from "./spec.ts";
import { StreamPorts } from "./stream-ports.ts";
import { connectToGuest, randomCid, VHOST_VSOCK } from "./vsock.ts";

const CID_ATTEMPTS = 5;

/**
 * Starts QEMU. With virtio-serial it returns as soon as QEMU was started: the guest's end of the connection comes up later,
 * what is written to it meanwhile waits. With vsock it returns connected. Nothing of it is left when it throws.
 * @throws CAISSON_E_HOST when an input cannot be opened, CAISSON_E_VM_START when QEMU ended first, the signal's reason.
 */
export async function startMachine(spec: VmSpec, options: StartOptions): Promise<Machine> {
  options.signal.throwIfAborted();
  // A sandbox that is forked starts no program, and loads nothing that can.
  const { spawnQemu } = await import("./spawn.ts");
  if (spec.transport === "virtio-serial") return startOverSerial(spec, options, spawnQemu);
  for (let attempt = 1; ; attempt++) {
    const machine = await startOverVsock(spec, options, spawnQemu);
    if (machine !== undefined) return machine;
    if (attempt === CID_ATTEMPTS) {
      throw new CaissonError(
        "CAISSON_E_TRANSPORT",
        `cannot start the VM: ${attempt} random vsock addresses (cid) were all taken`,
      );
    }
  }
}

function startOverSerial(spec: VmSpec, options: StartOptions, spawn: Spawn): Machine {
  const inheritance = new InheritedFds();
  try {
    const { child, ours } = inheritance.connect();
    const agent = new Socket({ fd: ours, readable: true, writable: true, allowHalfOpen: false });
    try {
      const { parts, runs } = launch(
        spec,
        options,
        inheritance,
        { agent: { kind: "virtio-serial", fd: child } },
        spawn,
      );
      // While a clone is stopped QEMU would put what we write into the guest's memory before it has told the guest that we are there.
      agent.cork();
      void runs.then(() => agent.uncork());
      return new RunningMachine(parts, agent);
    } catch (error) {
      agent.destroy();
      throw error;
    }
  } finally {
    inheritance.closeGiven();
  }
}

/** Returns undefined when the random cid was another VM's: QEMU alone can tell, by trying. */
async function startOverVsock(spec: VmSpec, options: StartOptions, spawn: Spawn): Promise<Machine | undefined> {
  const cid = randomCid();
  const inheritance = new InheritedFds();
  let parts: MachineParts;
  try {
    const vhostFd = inheritance.give(openForVm(VHOST_VSOCK, "r+"));
    ({ parts } = launch(spec, options, inheritance, { agent: { kind: "vsock", vhostFd, cid } }, spawn));
  } finally {
    inheritance.closeGiven();
  }
  const { qemu } = parts;
  const connecting = new AbortController();
  try {
    const signal = AbortSignal.any([options.signal, connecting.signal]);
    const agent = await Promise.race([connectToGuest(cid, signal), qemu.died]);
    if (!("reason" in agent)) {
      options.trace?.("vsock connected");
      return new RunningMachine({ ...parts, streamPorts: StreamPorts.overVsock(cid, STREAM_PORTS) }, agent);
    }
    if (/guest cid.*in use/i.test(agent.qemuMessage)) return undefined;
    throw startError(agent);
  } catch (error) {
    await Promise.all([qemu.kill(), parts.share?.kill()]);
    throw error;
  } finally {
    connecting.abort();
  }
}
