import type { TerminalMode } from "../../protocol/terminal.ts";
import type { ProcessIo } from "../guest/stdio/pump.ts";
import type { Bundle } from "../oci/bundle.ts";
import type { ContainerRecord } from "../state/container-record.ts";
import type { RootfsMount } from "../storage/rootfs-mounts.ts";
import type { StartAsked } from "./begin-trace.ts";
import type { HostHooks } from "./hooks.ts";
import type { HostProcess } from "./host-process.ts";

/** A container that is wanted, whoever asks for it (Pod.create). */
export interface ContainerRequest {
  id: string;
  /** As readBundle() gives it. */
  bundle: Bundle;
  /** The block devices that the guest is to mount as the root file system, if it is on such. */
  rootfsDisks?: readonly RootfsMount[] | undefined;
  host: HostProcess;
  hooks: HostHooks;
  /** The container's own, if it has one. */
  record?: ContainerRecord | undefined;
  /** Whether it is started as well: with the call that creates it where nothing comes between, else by PodContainer.start() as always. */
  starts?: boolean;
  /** Opens the container's streams, once the VM is there. */
  streams(): { io: ProcessIo; window?: TerminalMode | undefined };
  /** For the trace of the sandbox's start; it has none without. */
  asked?: StartAsked | undefined;
  /** Takes the creation back. */
  signal: AbortSignal;
}
