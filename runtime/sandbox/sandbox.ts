import { hostname } from "node:os";
import type { Spec } from "../../protocol/oci.ts";
import { SharedCgroup } from "../cgroup/cgroup.ts";
import { OwnCgroup } from "../cgroup/own-cgroup.ts";
import { type Settings, sandboxSize } from "../config/load.ts";
import { Deferred } from "../factory/deferred.ts";
import { forkServerMaker } from "../factory/fork-server/maker/spawn.ts";
import { chooseVirtiofsd, chooseVm, hostSize, sandboxTemplates, type VmShape } from "../factory/vm-config.ts";
import { SandboxNetwork } from "../network/network.ts";
import { hasNamespace } from "../oci/checks/namespaces.ts";
import { now } from "../process/clock.ts";
import { tracePhase } from "../process/trace.ts";
import { snapshotMaker } from "../snapshot/spawn.ts";
import type { ContainerRecord } from "../state/container-record.ts";
import { log } from "../text/log.ts";
import type { Machine } from "../vm/machine.ts";
import { canFork } from "../vm/spec.ts";
import { Guest } from "./guest.ts";
import { podNames } from "./spec/cri-annotations.ts";
import { functionsOf } from "./spec/passed-devices.ts";
import { podSize } from "./spec/pod-size.ts";

/** A process that a hook has left in it keeps it. */
const CGROUP_LIMIT_MS = 500;

export interface SandboxOptions {
  id: string;
  /** The configuration of the first container, whose network namespace the VM gets. */
  config: Spec;
  settings: Settings;
  /** Whether the VM is that container's own: of its size, with its limits on the host. */
  isOwn: boolean;
  /** Path of its cgroup below every hierarchy's root. */
  cgroup: string;
  /** Mount point of what the guest sees, and the file for the last part of its serial console. */
  share: string;
  consoleLog: string;
  /** What is about to be changed on the host is put on it, for whoever cleans up after this process. */
  record: ContainerRecord;
  /** What is done in the cgroup and the network namespace before the VM starts with what it finds in them. */
  prepare?: () => Promise<void>;
  signal: AbortSignal;
}

/** A sandbox with what is its own on the host: this process and QEMU are in its cgroup and its network namespace. */
export class Sandbox {
  readonly guest: Guest;
  readonly cgroup: OwnCgroup;
  readonly #deferred: Deferred;
  /** Path of the cgroup that it is in. */
  #place: string;

  private constructor(guest: Guest, cgroup: OwnCgroup, deferred: Deferred) {
    this.guest = guest;
    this.cgroup = cgroup;
    this.#place = cgroup.path;
    this.#deferred = deferred;
  }

  /** @throws CaissonError as OwnCgroup, SandboxNetwork, chooseVm and Guest.start do; nothing is left then. */
  static async start(options: SandboxOptions): Promise<Sandbox> {
    const { id, config, settings, isOwn, share, consoleLog, record, signal } = options;
    const size = (isOwn ? sandboxSize : podSize)(config, settings, hostSize());
    await using undo = new AsyncDisposableStack();
    const cgroup = OwnCgroup.claim(options.cgroup, (cgroupFolders) =>
      record.write({ cgroup: options.cgroup, cgroupFolders, poststop: config.hooks?.poststop }),
    );
    const joined = cgroup.join();
    // The joining is waited for later.
    joined.catch(() => {});
    undo.defer(async () => {
      await joined.catch(() => {});
      await cgroup.discard(CGROUP_LIMIT_MS);
    });
    const network = SandboxNetwork.enter(config, (changes) => record.write({ network: changes }));
    undo.defer(() => network.close());
    // Hooks are run in it.
    if (config.hooks !== undefined) await joined;
    await options.prepare?.();
    const choosing = now();
    const passed = functionsOf(config);
    const shape = await chooseVm(settings, size, signal, passed);
    const virtiofsd = await chooseVirtiofsd(settings);
    tracePhase("choose the VM", choosing);
    tellChoice(shape);
    log.debug("the sandbox on the host", { cgroup: cgroup.path, share, consoleLog });
    const vm = { ...shape, consoleLog };
    const templates = passed.length === 0 ? sandboxTemplates(settings) : undefined;
    const forks = templates !== undefined && settings.forkServer === "on" && canFork(vm);
    const guest = await Guest.start({
      id,
      vm,
      memoryOverheadMib: settings.memoryOverheadMib,
      shareDirectory: share,
      volumeAccessLists: settings.volumeAccessLists,
      virtiofsd,
      templates,
      forks,
      cgroup: { joined, adopt: (machine) => adoptMachine(cgroup, joined, machine) },
      bootLimitMs: settings.bootTimeoutSeconds * 1000,
      // "--uts host": the name is all that there is of the host's namespace.
      hostname: hasNamespace(config, "uts") ? undefined : hostname(),
      logLevel: log.level === "debug" ? "debug" : settings.logLevel,
      network,
      pod: podNames(config.annotations),
      signal,
    });
    undo.defer(() => guest.kill());
    await joined;
    if (isOwn) cgroup.limit(config.linux?.resources ?? {});
    undo.move();
    const params = { settings, size, devices: network.deviceCount };
    const { origin, template } = guest;
    const clonedFrom = origin === "cloned" ? template : undefined;
    const makers = [forks && clonedFrom !== undefined && forkServerMaker(params, clonedFrom), snapshotMaker(settings)];
    return new Sandbox(guest, cgroup, new Deferred(makers.filter((maker) => typeof maker === "function")));
  }

  /** Goes to one of these cgroups unless it is in one of them: `delete` kills what it finds in the cgroup of a container. */
  moveInto(cgroups: readonly string[]): void {
    const [other] = cgroups;
    if (other === undefined || cgroups.includes(this.#place)) return;
    new SharedCgroup(other).adopt([process.pid, ...this.guest.machine.pids()]);
    this.cgroup.giveUp();
    this.#place = other;
  }

  /** Ends the VM and leaves the host as it was. May be called again. */
  async end(): Promise<void> {
    const killed = this.guest.kill();
    // The kernel takes as long to move a process as QEMU takes to end.
    this.cgroup.leave();
    await killed;
    this.#deferred.now();
    await this.cgroup.end(CGROUP_LIMIT_MS);
  }

  /** Does what end() does, for a process that ends with the sandbox: its cgroup, which it would leave in 15 ms, is removed with its record. */
  async endInPlace(): Promise<void> {
    await this.guest.kill();
    this.#deferred.now();
  }
}

async function adoptMachine(cgroup: OwnCgroup, joined: Promise<void>, machine: Pick<Machine, "pids">): Promise<void> {
  await joined;
  const pids = machine.pids();
  await cgroup.adopt(pids);
  // What one of them has forked meanwhile was where that one was.
  await cgroup.adopt(machine.pids().filter((pid) => !pids.includes(pid)));
}

/** For whoever supports the host: what came of the settings and of what the host has. */
function tellChoice({ qemu, networks: _, passed, users, kernelParams, tscKhz = 0, ...rest }: VmShape): void {
  const last = users.first + users.count - 1;
  const version = `${qemu.path} ${qemu.version.join(".")}`;
  log.debug("the VM's shape", {
    qemu: version,
    ...rest,
    users: `${users.first}-${last}`,
    kernelParams: kernelParams.join(" "),
    tscKhz,
    passed: passed.map(({ address }) => address).join(" "),
  });
}
