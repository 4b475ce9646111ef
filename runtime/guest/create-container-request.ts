import type {
  CreateContainerRequest,
  Disk,
  DiskMount,
  PassedDevice,
  StartContainerRequest,
} from "../../protocol/generated/agent.ts";
import { stringifyJson } from "../../protocol/json.ts";
import type { Process, Spec } from "../../protocol/oci.ts";
import type { TerminalMode } from "../../protocol/terminal.ts";
import type { SeccompFilter } from "../oci/seccomp.ts";
import { type GuestClock, NO_CLOCK } from "./clock.ts";
import type { LiveSupply } from "./live-supply.ts";
import { wantedOf } from "./stdio/following.ts";
import { keepsNewlines, type ProcessIo } from "./stdio/pump.ts";

/** What the guest needs of a bundle. */
export interface GuestBundle {
  /** The configuration with guest paths (Share.addContainer). */
  spec: Spec;
  /** The configuration's `linux.seccomp`, compiled. */
  seccomp: SeccompFilter | undefined;
  /** The bundle's directory on the host. */
  bundle: string;
  /** Waited for before start() lets the init go; gets the init's pid in the guest. */
  beforeStart?: ((pid: number) => Promise<void>) | undefined;
  disks?: Disk[];
  diskMounts?: DiskMount[];
  passedDevices?: PassedDevice[];
  /** Set right when the container starts. */
  clock?: GuestClock | undefined;
  /** What the guest has been given of it already. */
  supply?: LiveSupply | undefined;
  /** Size of the memory that the sandbox's containers share; 0 for one that has nothing of it. */
  sharedMemoryBytes?: number;
  /** Whether the guest starts it in the same call: start() then finds it running. */
  starts?: boolean;
}

/** What creates the container, and starts it where that is wanted: the clock's part is of this moment. */
export function createRequest(
  id: string,
  guest: GuestBundle,
  io: ProcessIo,
  terminal: TerminalMode,
): CreateContainerRequest {
  const { spec, seccomp, bundle, disks = [], diskMounts = [], passedDevices = [], starts = false, clock } = guest;
  return {
    containerId: id,
    configJson: Buffer.from(stringifyJson(spec)),
    seccomp,
    bundle,
    sharedMemoryBytes: BigInt(guest.sharedMemoryBytes ?? 0),
    disks,
    diskMounts,
    passedDevices,
    noStdin: hasNoStdin(io, spec.process),
    ...modeOf(io, terminal),
    ...wantedOf(io),
    start: starts ? startRequest(id, clock) : undefined,
  };
}

/** @param clock what the guest sets its own by; without one it leaves that. */
export function startRequest(containerId: string, clock: GuestClock | undefined): StartContainerRequest {
  return { containerId, ...(clock?.correction() ?? NO_CLOCK) };
}

/** A terminal's stdin is its output, too, and has no end of its own. */
export function hasNoStdin({ stdin }: ProcessIo, process: Process | undefined): boolean {
  return stdin === undefined && process?.terminal !== true;
}

/** The mode of a terminal at its start: where the host has one, what its holder has made of it so far. */
export function modeOf({ terminal }: ProcessIo, { rows, columns, keepNewlines = false }: TerminalMode) {
  return { rows, columns, keepNewlines: keepNewlines || keepsNewlines(terminal) };
}
