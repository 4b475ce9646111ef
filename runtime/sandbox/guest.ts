import { realtime } from "../../native/posix/index.ts";
import type { Resources, Spec } from "../../protocol/oci.ts";
import type { TerminalMode } from "../../protocol/terminal.ts";
import { type Booted, bootMachine, type Origin } from "../factory/boot/boot.ts";
import { ForkServer } from "../factory/fork-server/fork-server.ts";
import type { Template } from "../factory/template/template.ts";
import { greet } from "../factory/warm-up/warm-up.ts";
import type { Agent } from "../guest/agent/client.ts";
import { connectAgent } from "../guest/agent/connect.ts";
import type { SandboxCall } from "../guest/agent/sandbox-call.ts";
import { GuestClock } from "../guest/clock.ts";
import { ClockSync } from "../guest/clock-sync.ts";
import { Container } from "../guest/container.ts";
import type { GuestVm } from "../guest/guest-vm.ts";
import { LiveSupply } from "../guest/live-supply.ts";
import { followGuestLog } from "../guest/log.ts";
import { Shells } from "../guest/shells.ts";
import type { ProcessIo } from "../guest/stdio/pump.ts";
import type { PodNames } from "../metrics/measurement.ts";
import { startedBy } from "../metrics/start-phases.ts";
import type { Request } from "../network/message.ts";
import { isBindMount } from "../oci/checks/mounts.ts";
import { guestResources } from "../oci/guest-resources.ts";
import type { SeccompFilter } from "../oci/seccomp.ts";
import { now } from "../process/clock.ts";
import { deadline } from "../process/deadline.ts";
import { tracePhase } from "../process/trace.ts";
import { guestLogPath } from "../state/paths.ts";
import { takeDisks } from "../storage/disks/take.ts";
import type { RootfsMount } from "../storage/rootfs-mounts.ts";
import { Share } from "../storage/share.ts";
import { startVirtiofsd } from "../storage/virtiofsd/process.ts";
import { codeOf, explainError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { diedError, type ExitReason, unanswered } from "../vm/exit-reason.ts";
import type { Machine } from "../vm/machine.ts";
import type { PciFunction } from "../vm/spec.ts";
import { SandboxDisks } from "./disks.ts";
import { GuestNetwork } from "./guest-network.ts";
import { createSandbox, type GuestOptions, openTemplate, startFacts } from "./guest-start.ts";
import { Room } from "./room.ts";
import { compileFilter } from "./spec/filter.ts";
import { toGuestSpec } from "./spec/guest-spec.ts";
import { takePassed } from "./spec/passed-devices.ts";
import { sharedMemoryBytes } from "./spec/shared-memory.ts";

/** How long a VM may live on after the connection to its agent has ended. */
const DEATH_FOLLOWS_MS = 1000;

/** What a container is made of. */
export interface ContainerBundle {
  spec: Spec;
  directory: string;
  /** Where that directory is to be found, when this process does not see it at its own path. */
  foundAt?: string;
  rootfs: string;
  /** The block devices that the guest is to mount as the root file system, if it is on such. */
  rootfsDisks?: readonly RootfsMount[] | undefined;
  /** As of ContainerRequest. */
  starts?: boolean | undefined;
  /** The result of compileFilter, if the caller began it while the VM was starting. */
  seccomp?: Promise<SeccompFilter | undefined>;
}

/** A microVM with its agent, and the containers in it. Needs a private mount namespace (storage/share.ts). */
export class Guest implements GuestVm {
  readonly id: string;
  readonly share: Share;
  readonly machine: Machine;
  readonly agent: Agent;
  /** What is new in it. */
  readonly news: SandboxCall;
  readonly origin: Origin;
  /** The folder of the template of its VM, if there is one. */
  readonly template: string | undefined;
  readonly logFiles: { console: string; agent: string };
  readonly pod: PodNames | undefined;
  readonly #room: Room;
  readonly network: GuestNetwork;
  readonly #disks: SandboxDisks;
  readonly #passed: readonly PciFunction[];
  #hasContainer = false;
  readonly #living = new Set<Container>();
  /** Set right for the first container: programs that run already would see it step. */
  #clock: GuestClock | undefined;
  readonly #clockSync: ClockSync;

  private constructor(
    { machine, value, origin }: Booted<{ agent: Agent; news: SandboxCall }>,
    share: Share,
    options: GuestOptions,
    template: Template | undefined,
  ) {
    const { agent, news } = value;
    this.news = news;
    this.#room = new Room(agent, options.vm, options.memoryOverheadMib);
    this.network = new GuestNetwork(options.network, machine, agent);
    this.id = options.id;
    this.origin = origin;
    this.template = template?.folder;
    startedBy(origin);
    const { consoleLog } = options.vm;
    this.logFiles = { console: consoleLog, agent: guestLogPath(consoleLog) };
    this.pod = options.pod;
    this.share = share;
    this.machine = machine;
    this.#disks = new SandboxDisks(machine);
    this.#passed = options.vm.passed;
    this.agent = agent;
    this.#clockSync = new ClockSync(agent);
  }

  /**
   * Starts the VM, as a clone if a template is wanted and can be had, and makes its guest this sandbox.
   * @throws CaissonError CAISSON_E_VM_START with the console's last lines when it does not come up. Nothing is left then.
   */
  static async start(given: GuestOptions): Promise<Guest> {
    using undo = new DisposableStack();
    const { network } = given;
    undo.defer(() => network?.close());
    const share = undo.adopt(new Share(given.shareDirectory, given.volumeAccessLists), (each) => each.close());
    const connecting = now();
    const requests = network?.connect() ?? [];
    tracePhase("connect the network", connecting);
    if (network !== undefined) log.debug("the VM's network", network.facts);
    const options = { ...given, vm: { ...given.vm, networks: network?.devices ?? [] } };
    using template = await openTemplate(options);
    using forkServer = given.forks && template !== undefined ? ForkServer.connect(template.folder) : undefined;
    log.debug("how the VM starts", startFacts(options, template, forkServer));
    if (forkServer === undefined) await given.cgroup?.joined;
    const guest = await Guest.#boot(options, share, { template, forkServer }, requests);
    network?.release();
    undo.move();
    return guest;
  }

  static async #boot(
    options: GuestOptions,
    share: Share,
    { template, forkServer }: { template: Template | undefined; forkServer: ForkServer | undefined },
    network: readonly Request[],
  ): Promise<Guest> {
    const { vm, signal } = options;
    const starting = now();
    const trace = (phase: string) => tracePhase(`VM: ${phase}`, starting);
    let clock = new GuestClock();
    const booted = await bootMachine(
      vm,
      async (started, limit) => {
        clock = new GuestClock();
        const client = await connectAgent(started.agent);
        // A template's agent was checked when the template was made.
        if (template === undefined) await greet(client, limit, vm.passed.length > 0 ? vm.networks.length : undefined);
        const news = await createSandbox(client, options, network, limit);
        clock.answered(news.answeredNs, realtime());
        return { agent: client, news };
      },
      {
        signal,
        limitMs: options.bootLimitMs,
        trace,
        clone: template,
        forkServer,
        cgroup: options.cgroup,
        startShareServer: () => startVirtiofsd(options.virtiofsd, share.served),
      },
    );
    tracePhase("VM ready", starting);
    followGuestLog(booted.value.news, guestLogPath(vm.consoleLog));
    const guest = new Guest(booted, share, options, template);
    guest.#clock = clock;
    return guest;
  }

  /** Shells in the guest itself. */
  readonly shells = new Shells(this);

  get vcpus(): number {
    return this.#room.vcpus;
  }

  /** What the VM has at least; the guest may have taken more. */
  get memoryMib(): number {
    return this.#room.memoryMib;
  }

  /** What the VM can come to have. */
  get mostMemoryMib(): number {
    return this.#room.mostMemoryMib;
  }

  /** Resolves when the VM is gone; the containers' processes then end with VM_DEATH_EXIT_CODE. */
  get died(): Promise<ExitReason> {
    return this.machine.died;
  }

  /**
   * Creates a container, its init waiting to be started.
   * @throws CaissonError naming the configuration's field that could not be carried out; nothing of the container is left.
   */
  async createContainer(id: string, bundle: ContainerBundle, io: ProcessIo, mode?: TerminalMode): Promise<Container> {
    const isFirst = !this.#hasContainer;
    const { directory, foundAt = directory, rootfs, rootfsDisks } = bundle;
    const inNetwork = (whole: Spec) => this.network.inGuest(whole, isFirst);
    // What the caller's files are found by is there only until this first waits.
    const { spec: given, passedDevices } = takePassed(bundle.spec, this.#passed);
    const taken = takeDisks(given, { id, directory: foundAt, rootfs: rootfsDisks });
    this.#disks.claim(id, taken);
    let supply: LiveSupply | undefined;
    try {
      const room = this.#room.make(id, bundle.spec.linux?.resources);
      const share = (whole: Spec) => this.share.addContainer(id, whole, foundAt, rootfs);
      const spec = toGuestSpec(taken.spec, { vcpus: this.vcpus, inNetwork, share });
      log.debug("what the container has of the host", { rootfs, mounts: bindsOf(taken.spec).join(" ") });
      await room;
      const disks = await this.#disks.plug(taken, spec.root?.path ?? "");
      const seccomp = await (bundle.seccomp ?? compileFilter(bundle.spec));
      supply = await LiveSupply.start(this.agent, this.share.liveSources(id), bundle.spec);
      const container = await Container.create(
        this,
        id,
        {
          spec,
          seccomp,
          bundle: directory,
          sharedMemoryBytes: sharedMemoryBytes(taken.spec),
          supply,
          ...disks,
          passedDevices,
          // The network is looked at once more between the two calls.
          starts: bundle.starts === true && isFirst && !this.network.isFollowed,
          ...(isFirst && { clock: this.#clock, beforeStart: (pid: number) => this.#beforeFirstStart(pid) }),
        },
        io,
        mode,
      );
      this.#hasContainer = true;
      this.#living.add(container);
      void container.init.over.then(() => this.#living.delete(container));
      return container;
    } catch (error) {
      supply?.close();
      await this.removeContainer(id);
      const death = await this.deathBehind(error);
      if (death === undefined) throw unanswered(error, this.machine);
      throw diedError(`container ${id} cannot be created`, death);
    }
  }

  /** Takes from the VM what only this container has of the host; the guest has removed it. */
  async removeContainer(id: string): Promise<void> {
    this.share.removeContainer(id);
    this.#room.leave(id);
    await this.#disks.release(id);
  }

  /** Changes a container's limits; what is not named stays. The VM grows for them, as far as it can. */
  async update(container: Container, resources: Resources): Promise<void> {
    await this.#room.make(container.id, resources);
    await container.update(guestResources(resources, this.vcpus));
  }

  async #beforeFirstStart(pid: number): Promise<void> {
    await this.network.refresh(pid);
    void this.#clockSync.run();
  }

  get isShared(): boolean {
    return this.#living.size > 1;
  }

  async giveUp(why: string): Promise<ExitReason> {
    this.machine.giveUp(why);
    return await this.machine.died;
  }

  async lost(error: unknown): Promise<ExitReason> {
    // The connection of a VM that ends is a moment ahead of it.
    const death = await deadline(this.machine.died, DEATH_FOLLOWS_MS);
    return death ?? (await this.giveUp(explainError(error)));
  }

  async deathBehind(error: unknown): Promise<ExitReason | undefined> {
    return codeOf(error) === "CAISSON_E_AGENT" ? await deadline(this.machine.died, DEATH_FOLLOWS_MS) : undefined;
  }

  /** Ends the VM at once and releases what it held on the host. May be called again. */
  async kill(): Promise<void> {
    this.#clockSync.end();
    this.agent.close();
    await this.machine.kill();
    this.#disks.close();
    this.network.close();
    this.share.close();
  }
}

function bindsOf({ mounts = [] }: Spec): string[] {
  return mounts.filter(isBindMount).map(({ source, destination }) => `${source}:${destination}`);
}
