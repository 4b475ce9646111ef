/** QEMU started with all that it inherits, and told what it needs before it runs. */
import { closeSync, ftruncateSync } from "node:fs";
import { log } from "../text/log.ts";
import { TRANSLATION_BUFFER_MIB } from "./board.ts";
import { commandLine, type Wiring } from "./command-line.ts";
import type { InheritedFds } from "./inherited-fds.ts";
import type { StartOptions } from "./machine.ts";
import { bootMemory, memoryLayout } from "./memory-layout.ts";
import { openForVm, reopen } from "./open.ts";
import { passedAccess } from "./passed-functions.ts";
import { QemuProcess } from "./qemu-process.ts";
import type { MachineParts } from "./running-machine.ts";
import { incomingUri } from "./saved-state.ts";
import { plugShare } from "./share-device.ts";
import { ShareLink } from "./share-link.ts";
import type { ShareServer } from "./share-server.ts";
import type { QemuChild, QemuStart } from "./spawn.ts";
import { canFork, streamPortsOf, type VmSpec } from "./spec.ts";
import { StreamPorts } from "./stream-ports.ts";

const KVM = "/dev/kvm";
/** What an emulator has translated when the agent answers (117 MiB, counted). */
const BOOT_CODE_MIB = 112;

/** How QEMU is started: see spawnQemu(). */
export type Spawn = (start: QemuStart) => QemuChild;

/** QEMU, and by which numbers it has its descriptors. */
export interface Launched {
  parts: MachineParts;
  /** Resolves, never rejects, when it has all it needs and runs, or will not. */
  runs: Promise<void>;
  wiring: Wiring;
  libraryFd: number;
  /** Our ends of its monitor, its console, the library in it, and its stream ports. */
  ends: readonly number[];
}

/** QEMU with the agent's device, and what its copies need, as given; what it inherits besides is in `inheritance`, which stays the caller's. */
export function launch(
  spec: VmSpec,
  options: StartOptions,
  inheritance: InheritedFds,
  own: Pick<Wiring, "agent" | "copiesShareFd">,
  spawn: Spawn,
): Launched {
  const { clone, templateMemoryFd, trace, startShareServer } = options;
  if (templateMemoryFd !== undefined) {
    // What a failed attempt left behind would be saved along.
    ftruncateSync(templateMemoryFd, 0);
    ftruncateSync(templateMemoryFd, memoryLayout(spec).ramMib * 1024 * 1024);
  }
  const imageFd = clone?.imageFd ?? openForVm(spec.image, "r");
  const ours: number[] = [];
  let share: ShareServer | undefined;
  let streamPorts: StreamPorts | undefined;
  try {
    const monitor = inheritance.connect();
    const console = inheritance.connect();
    const library = inheritance.connect();
    const streams = Array.from({ length: streamPortsOf(spec) }, () => inheritance.connect());
    const ends = [monitor.ours, console.ours, library.ours, ...streams.map((each) => each.ours)];
    ours.push(...ends);
    share = startShareServer?.();
    const wiring: Wiring = {
      qmpFd: monitor.child,
      consoleFd: console.child,
      imageFd: inheritance.lend(imageFd),
      randomFd: inheritance.give(openForVm("/dev/urandom", "r")),
      ...own,
      streamFds: streams.map(({ child }) => child),
      stopped: share !== undefined,
      memory: memoryOf(clone, templateMemoryFd, inheritance),
      networks: spec.networks.map(({ tapFd, vhostFd }) => ({
        tapFd: inheritance.lend(tapFd),
        // A VM that may be forked has none: the guest agrees on its features with one back end, and meets it again in each copy.
        // A VM has a descriptor of its own: the first process that uses one owns it for good, and a boot may be tried twice (VHOST_SET_OWNER).
        ...(vhostFd === undefined || canFork(spec) ? {} : { vhostFd: inheritance.give(reopen(vhostFd, "r+")) }),
      })),
    };
    const access = passedAccess(spec.passed, memoryLayout(spec).ramMib);
    const start = {
      qemu: spec.qemu,
      users: spec.users,
      // A clone has them in memory.
      files: [...(clone === undefined ? [spec.kernel, spec.initrd] : []), ...access.files],
      devices: [...(spec.accelerator === "kvm" ? [KVM] : []), ...access.devices],
      lockedMemoryBytes: access.lockedMemoryBytes,
      argv: commandLine(spec, wiring),
      descriptors: inheritance.descriptors,
      library: library.child,
      bootMemory: wiring.memory.kind === "anonymous" ? describeBootMemory(spec) : undefined,
      templateMemory: wiring.memory.kind === "anonymous" ? undefined : wiring.memory.fd,
    };
    log.debug("QEMU's command line", { argv: [start.qemu.path, ...start.argv].join(" ") });
    ours.length = 0;
    streamPorts = StreamPorts.overSockets(streams.map((each) => each.ours));
    const link = new ShareLink(library.ours, {
      onError: (reason) => qemu.giveUp(`its shared directory has ended: ${reason}`),
    });
    const connections = { qmpFd: monitor.ours, consoleFd: console.ours };
    const qemu = new QemuProcess({ ...connections, consoleLog: spec.consoleLog }, () => spawn(start));
    trace?.("qemu started");
    const parts = { qemu, machine: spec.machine, link, share, streamPorts };
    const incoming = wiring.memory.kind === "clone" ? incomingUri(spec.qemu.version, wiring.memory.stateFd) : undefined;
    const runs = configure(parts, incoming, options).catch((error: unknown) => qemu.fail(error));
    return { parts, runs, wiring, libraryFd: library.child, ends };
  } catch (error) {
    void share?.kill();
    streamPorts?.close();
    throw error;
  } finally {
    for (const fd of ours) closeSync(fd);
    if (clone === undefined) closeSync(imageFd);
  }
}

/** As native/boot-memory reads it. */
function describeBootMemory(spec: VmSpec): string | undefined {
  const parts = bootMemory(spec).map(({ startMib, sizeMib }) => `${startMib}+${sizeMib}`);
  if (parts.length === 0) return undefined;
  return [memoryLayout(spec).ramMib, TRANSLATION_BUFFER_MIB.boot, BOOT_CODE_MIB, parts.join(",")].join(":");
}

function memoryOf(
  clone: StartOptions["clone"],
  template: number | undefined,
  inheritance: InheritedFds,
): Wiring["memory"] {
  if (clone !== undefined) {
    const stateFd = inheritance.give(reopen(clone.stateFd, "r"));
    return { kind: "clone", fd: inheritance.lend(clone.memoryFd), stateFd };
  }
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
  incoming: string | undefined,
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
  if (incoming !== undefined) {
    const capabilities = ["x-ignore-shared", "events"].map((capability) => ({ capability, state: true }));
    // QEMU ends when it cannot load it.
    loaded = qmp.nextEvent(({ name, data }) => name === "MIGRATION" && data["status"] === "completed", signal);
    loaded.catch(() => {});
    commands.push(
      qmp.execute("migrate-set-capabilities", { capabilities }, within),
      qmp.execute("migrate-incoming", { uri: incoming }, within),
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
