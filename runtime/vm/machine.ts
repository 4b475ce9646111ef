import { closeSync, ftruncateSync, openSync } from "node:fs";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { CaissonError } from "../../protocol/errors.ts";
import { log } from "../log.ts";
import { commandLine, type Wiring } from "./command-line.ts";
import { type MachineDeath, startError } from "./death.ts";
import { canFork } from "./fork-server/fork-server.ts";
import { Inheritance } from "./inheritance.ts";
import { QemuProcess } from "./qemu-process.ts";
import type { QmpClient } from "./qmp.ts";
import type { QemuChild, QemuStart } from "./spawn.ts";
import type { Trace, VmSpec } from "./spec.ts";
import { connectToGuest, randomCid, VHOST_VSOCK } from "./vsock.ts";

/** A VM that runs, or did. */
export interface Machine {
  /** Of QEMU, for its cgroup. */
  readonly pid: number;
  /** The one connection to the agent. The guest may not have answered on it yet. */
  readonly agent: Duplex;
  readonly qmp: QmpClient;
  /** Resolves, never rejects, when the VM is gone, whatever ended it. */
  readonly died: Promise<MachineDeath>;
  /** The last printable lines of the guest's console. */
  lastConsoleLines(): string[];
  /** Ends a VM that is of no use any more; `why` ends the sentence "the VM was given up: ...". Does not wait for it. */
  giveUp(why: string): void;
  /** Ends the VM at once if it still runs, releases all it held, and waits for that. May be called again. */
  kill(): Promise<void>;
}

/** The saved VM that a clone continues; the descriptors stay the caller's, who may close them once the clone runs. */
export interface CloneSource {
  /** Guest RAM. */
  memoryFd: number;
  /** QEMU's device state: a migration stream. */
  stateFd: number;
  /** The root image the guest was saved with: another one under its page cache would be corruption. */
  imageFd: number;
}

export interface StartOptions {
  signal: AbortSignal;
  /** Continues this saved VM in place of booting. */
  clone?: CloneSource | undefined;
  /** Keeps guest RAM in this file, shared, so that the VM can be saved as a template. */
  templateMemoryFd?: number | undefined;
  trace?: Trace | undefined;
}

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
        `Cannot start the VM: ${attempt} random vsock addresses (cid) were all taken.`,
      );
    }
  }
}

function startOverSerial(spec: VmSpec, options: StartOptions, spawn: Spawn): Machine {
  const inheritance = new Inheritance();
  try {
    const { child, ours } = inheritance.connect();
    const agent = new Socket({ fd: ours, readable: true, writable: true, allowHalfOpen: false });
    try {
      const { qemu } = launch(spec, options, inheritance, { kind: "virtio-serial", fd: child }, spawn);
      return new RunningMachine(qemu, agent);
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
  const inheritance = new Inheritance();
  let qemu: QemuProcess;
  try {
    const vhostFd = inheritance.give(open(VHOST_VSOCK, "r+"));
    ({ qemu } = launch(spec, options, inheritance, { kind: "vsock", vhostFd, cid }, spawn));
  } finally {
    inheritance.closeGiven();
  }
  const connecting = new AbortController();
  try {
    const signal = AbortSignal.any([options.signal, connecting.signal]);
    const agent = await Promise.race([connectToGuest(cid, signal), qemu.died]);
    if (!("reason" in agent)) {
      options.trace?.("vsock connected");
      return new RunningMachine(qemu, agent);
    }
    if (/guest cid.*in use/i.test(agent.qemuMessage)) return undefined;
    throw startError(agent);
  } catch (error) {
    await qemu.kill();
    throw error;
  } finally {
    connecting.abort();
  }
}

/** How QEMU is started: see spawnQemu(). */
type Spawn = (start: QemuStart) => QemuChild;

/** QEMU with its agent's device as given; what it inherits besides is in `inheritance`, which stays the caller's. */
export function launch(
  spec: VmSpec,
  options: StartOptions,
  inheritance: Inheritance,
  agent: Wiring["agent"],
  spawn: Spawn,
): { qemu: QemuProcess; wiring: Wiring; qmpFd: number; consoleFd: number } {
  const { clone, templateMemoryFd, trace } = options;
  if (templateMemoryFd !== undefined) {
    // What a failed attempt left behind would be saved along.
    ftruncateSync(templateMemoryFd, 0);
    ftruncateSync(templateMemoryFd, spec.memoryMib * 1024 * 1024);
  }
  const imageFd = clone?.imageFd ?? open(spec.image, "r");
  const ours: number[] = [];
  try {
    const monitor = inheritance.connect();
    const console = inheritance.connect();
    ours.push(monitor.ours, console.ours);
    const stateFd = clone === undefined ? undefined : inheritance.give(reopen(clone.stateFd, "r"));
    const wiring: Wiring = {
      qmpFd: monitor.child,
      consoleFd: console.child,
      imageFd: inheritance.lend(imageFd),
      agent,
      memory: memoryOf(clone?.memoryFd, templateMemoryFd, inheritance),
      networks: spec.networks.map(({ tapFd, vhostFd }) => ({
        tapFd: inheritance.lend(tapFd),
        // None where the VM may be forked: the guest agrees on its features with one back end, and meets it again in each copy.
        // One of its own: the first process that uses it owns it for good, and a boot may be tried twice (VHOST_SET_OWNER).
        ...(vhostFd === undefined || canFork(spec) ? {} : { vhostFd: inheritance.give(reopen(vhostFd, "r+")) }),
      })),
    };
    const start = {
      path: spec.qemu.path,
      argv: commandLine(spec, wiring),
      descriptors: inheritance.descriptors,
      templateMemory: wiring.memory.kind === "clone" ? wiring.memory.fd : undefined,
    };
    log.debug("QEMU's command line", { argv: [start.path, ...start.argv].join(" ") });
    ours.length = 0;
    const connections = { qmpFd: monitor.ours, consoleFd: console.ours };
    const qemu = new QemuProcess({ ...connections, consoleLog: spec.consoleLog }, () => spawn(start));
    trace?.("qemu started");
    configure(qemu, stateFd, options);
    return { qemu, wiring, ...connections };
  } finally {
    for (const fd of ours) closeSync(fd);
    if (clone === undefined) closeSync(imageFd);
  }
}

function memoryOf(clone: number | undefined, template: number | undefined, inheritance: Inheritance): Wiring["memory"] {
  if (clone !== undefined) return { kind: "clone", fd: inheritance.lend(clone) };
  if (template !== undefined) return { kind: "template", fd: inheritance.lend(template) };
  return { kind: "anonymous" };
}

/**
 * Writes QEMU all it needs in one go. A clone loads its state (RAM, being shared, is not part of it) and then runs by
 * itself, since it was saved running. A refusal ends QEMU: a VM half set up has no use. How long it may take is the start's
 * own limit: on a busy host QEMU is slow to answer at all.
 */
function configure(qemu: QemuProcess, stateFd: number | undefined, { signal, trace }: StartOptions): void {
  const within = { signal, limitMs: Number.POSITIVE_INFINITY };
  const commands = [qemu.qmp.execute("qmp_capabilities", undefined, within)];
  if (stateFd !== undefined) {
    const capabilities = [{ capability: "x-ignore-shared", state: true }];
    commands.push(
      qemu.qmp.execute("migrate-set-capabilities", { capabilities }, within),
      qemu.qmp.execute("migrate-incoming", { uri: `fd:${stateFd}` }, within),
    );
    if (trace !== undefined) {
      const resumed = qemu.qmp.nextEvent(({ name }) => name === "RESUME");
      resumed.then(() => trace("state loaded")).catch(() => {});
    }
  }
  Promise.all(commands).catch((error: unknown) => qemu.fail(error));
}

export class RunningMachine implements Machine {
  readonly agent: Duplex;
  readonly #qemu: QemuProcess;

  constructor(qemu: QemuProcess, agent: Duplex) {
    this.#qemu = qemu;
    this.agent = agent;
    // The agent's client hears of it on its own; without a listener Node would throw it.
    agent.on("error", () => {});
    void qemu.died.then(() => agent.destroy());
  }

  get pid(): number {
    return this.#qemu.pid;
  }

  get qmp(): QmpClient {
    return this.#qemu.qmp;
  }

  get died(): Promise<MachineDeath> {
    return this.#qemu.died;
  }

  lastConsoleLines(): string[] {
    return this.#qemu.lastConsoleLines();
  }

  giveUp(why: string): void {
    this.#qemu.giveUp(why);
  }

  async kill(): Promise<void> {
    this.agent.destroy();
    await this.#qemu.kill();
  }
}

/** The same file from its start: an inherited descriptor shares its position with the one it is a copy of. */
function reopen(fd: number, flags: "r" | "r+"): number {
  return open(`/proc/self/fd/${fd}`, flags);
}

function open(path: string, flags: "r" | "r+"): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw new CaissonError(
      "CAISSON_E_HOST",
      `Cannot start the VM: ${path} cannot be opened: ${(error as Error).message}.`,
      {
        cause: error,
      },
    );
  }
}
