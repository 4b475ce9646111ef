import { closeSync, ftruncateSync, openSync } from "node:fs";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import { log } from "../text/log.ts";
import { commandLine, type Wiring } from "./command-line.ts";
import { type ExitReason, startError } from "./exit-reason.ts";
import { InheritedFds } from "./inherited-fds.ts";
import { QemuProcess } from "./qemu-process.ts";
import type { QmpClient } from "./qmp.ts";
import { plugShare, unplugShare } from "./share-device.ts";
import { ShareLink } from "./share-link.ts";
import type { ShareServer } from "./share-server.ts";
import type { QemuChild, QemuStart } from "./spawn.ts";
import { canFork, type MachineType, type Trace, type VmSpec } from "./spec.ts";
import { connectToGuest, randomCid, VHOST_VSOCK } from "./vsock.ts";

/** A VM that runs, or did. */
export interface Machine {
  /** Of QEMU, for its cgroup. */
  readonly pid: number;
  /** Of all processes that it consists of. */
  pids(): number[];
  readonly machine: MachineType;
  /** The one connection to the agent. The guest may not have answered on it yet. */
  readonly agent: Duplex;
  readonly qmp: QmpClient;
  /** Resolves, never rejects, when the VM is gone, whatever ended it. */
  readonly died: Promise<ExitReason>;
  /** The last printable lines of the guest's console. */
  lastConsoleLines(): string[];
  /** Ends a VM that is of no use any more; `why` ends the sentence "the VM was given up: ...". Does not wait for it. */
  giveUp(why: string): void;
  /**
   * Gives a VM that runs without one a shared directory. The server is the machine's from now on: it ends with the VM, and the VM with it.
   * @throws QmpError when QEMU refuses, or the signal's reason.
   */
  addShare(server: ShareServer, signal: AbortSignal): Promise<void>;
  /** Takes the shared directory, which the guest has let go, from the VM again, and ends its server. Throws as addShare(). */
  removeShare(signal: AbortSignal): Promise<void>;
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
  /** Starts what serves the VM's shared directory, anew for each attempt; without it the VM has none yet. Throws what it throws. */
  startShareServer?: (() => ShareServer) | undefined;
  trace?: Trace | undefined;
}

const CID_ATTEMPTS = 5;
const KVM = "/dev/kvm";
const REFUSAL_FOLLOWS_MS = 100;

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
      const { parts, runs } = launch(spec, options, inheritance, { kind: "virtio-serial", fd: child }, spawn);
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
    const vhostFd = inheritance.give(open(VHOST_VSOCK, "r+"));
    ({ parts } = launch(spec, options, inheritance, { kind: "vsock", vhostFd, cid }, spawn));
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
      return new RunningMachine(parts, agent);
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

/** How QEMU is started: see spawnQemu(). */
type Spawn = (start: QemuStart) => QemuChild;

/** What a machine is made of. */
export interface MachineParts {
  qemu: QemuProcess;
  machine: MachineType;
  link: ShareLink;
  share: ShareServer | undefined;
}

/** QEMU, and by which numbers it has its descriptors. */
export interface Launched {
  parts: MachineParts;
  /** Resolves, never rejects, when it has all it needs and runs, or will not. */
  runs: Promise<void>;
  wiring: Wiring;
  shareFd: number;
  /** Our ends of its monitor, its console, and the library in it. */
  ends: readonly number[];
}

/** QEMU with its agent's device as given; what it inherits besides is in `inheritance`, which stays the caller's. */
export function launch(
  spec: VmSpec,
  options: StartOptions,
  inheritance: InheritedFds,
  agent: Wiring["agent"],
  spawn: Spawn,
): Launched {
  const { clone, templateMemoryFd, trace, startShareServer } = options;
  if (templateMemoryFd !== undefined) {
    // What a failed attempt left behind would be saved along.
    ftruncateSync(templateMemoryFd, 0);
    ftruncateSync(templateMemoryFd, spec.memoryMib * 1024 * 1024);
  }
  const imageFd = clone?.imageFd ?? open(spec.image, "r");
  const ours: number[] = [];
  let share: ShareServer | undefined;
  try {
    const monitor = inheritance.connect();
    const console = inheritance.connect();
    const library = inheritance.connect();
    ours.push(monitor.ours, console.ours, library.ours);
    const stateFd = clone === undefined ? undefined : inheritance.give(reopen(clone.stateFd, "r"));
    share = startShareServer?.();
    const wiring: Wiring = {
      qmpFd: monitor.child,
      consoleFd: console.child,
      imageFd: inheritance.lend(imageFd),
      randomFd: inheritance.give(open("/dev/urandom", "r")),
      agent,
      stopped: share !== undefined,
      memory: memoryOf(clone?.memoryFd, templateMemoryFd, inheritance),
      networks: spec.networks.map(({ tapFd, vhostFd }) => ({
        tapFd: inheritance.lend(tapFd),
        // None where the VM may be forked: the guest agrees on its features with one back end, and meets it again in each copy.
        // One of its own: the first process that uses it owns it for good, and a boot may be tried twice (VHOST_SET_OWNER).
        ...(vhostFd === undefined || canFork(spec) ? {} : { vhostFd: inheritance.give(reopen(vhostFd, "r+")) }),
      })),
    };
    const start = {
      qemu: spec.qemu,
      users: spec.users,
      // A clone has them in memory.
      files: clone === undefined ? [spec.kernel, spec.initrd] : [],
      devices: spec.accelerator === "kvm" ? [KVM] : [],
      argv: commandLine(spec, wiring),
      descriptors: inheritance.descriptors,
      library: library.child,
      templateMemory: wiring.memory.kind === "anonymous" ? undefined : wiring.memory.fd,
    };
    log.debug("QEMU's command line", { argv: [start.qemu.path, ...start.argv].join(" ") });
    ours.length = 0;
    const link = new ShareLink(library.ours, (reason) => qemu.giveUp(`its shared directory has ended: ${reason}`));
    const connections = { qmpFd: monitor.ours, consoleFd: console.ours };
    const qemu = new QemuProcess({ ...connections, consoleLog: spec.consoleLog }, () => spawn(start));
    trace?.("qemu started");
    const parts = { qemu, machine: spec.machine, link, share };
    const runs = configure(parts, stateFd, options).catch((error: unknown) => qemu.fail(error));
    return { parts, runs, wiring, shareFd: library.child, ends: [monitor.ours, console.ours, library.ours] };
  } catch (error) {
    void share?.kill();
    throw error;
  } finally {
    for (const fd of ours) closeSync(fd);
    if (clone === undefined) closeSync(imageFd);
  }
}

function memoryOf(
  clone: number | undefined,
  template: number | undefined,
  inheritance: InheritedFds,
): Wiring["memory"] {
  if (clone !== undefined) return { kind: "clone", fd: inheritance.lend(clone) };
  if (template !== undefined) return { kind: "template", fd: inheritance.lend(template) };
  return { kind: "anonymous" };
}

/**
 * Writes QEMU all it needs. A clone loads its state (RAM, being shared, is not part of it); without a shared directory it then runs by
 * itself, since it was saved running. A refusal ends QEMU: a VM half set up has no use. How long it may take is the start's
 * own limit: on a busy host QEMU is slow to answer at all.
 */
async function configure(
  parts: MachineParts,
  stateFd: number | undefined,
  { signal, trace }: StartOptions,
): Promise<void> {
  const { qemu, share } = parts;
  const { qmp } = qemu;
  const within = { signal, limitMs: Number.POSITIVE_INFINITY };
  const commands = [qmp.execute("qmp_capabilities", undefined, within)];
  if (trace !== undefined) {
    const resumed = qmp.nextEvent(({ name }) => name === "RESUME");
    resumed.then(() => trace("qemu runs")).catch(() => {});
  }
  let loaded: Promise<unknown> | undefined;
  if (stateFd !== undefined) {
    const capabilities = ["x-ignore-shared", "events"].map((capability) => ({ capability, state: true }));
    // QEMU ends when it cannot load it.
    loaded = qmp.nextEvent(({ name, data }) => name === "MIGRATION" && data["status"] === "completed", signal);
    loaded.catch(() => {});
    commands.push(
      qmp.execute("migrate-set-capabilities", { capabilities }, within),
      qmp.execute("migrate-incoming", { uri: `fd:${stateFd}` }, within),
    );
  }
  const finish = async () => {
    // Until QEMU answers, what was started may not be QEMU yet, but has the library already, which would take the connections.
    await commands[0];
    await loaded;
    if (share === undefined) return;
    const plugged = plugShare({ qmp, ...parts }, share.connection, within);
    await Promise.all([...plugged, qmp.execute("cont", undefined, within)]);
  };
  await Promise.all([...commands, finish()]);
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

  get died(): Promise<ExitReason> {
    return this.#parts.qemu.died;
  }

  lastConsoleLines(): string[] {
    return this.#parts.qemu.lastConsoleLines();
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
      `cannot start the VM: ${path} cannot be opened: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}
