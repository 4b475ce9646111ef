import { closeSync, existsSync } from "node:fs";
import { takeFd } from "../../../native/posix/index.ts";
import type { Settings } from "../../config.ts";
import type { LentNetwork } from "../../network/vm-taps.ts";
import type { LentShare } from "../../storage/share.ts";
import { ANY_TAP, type VmSpec } from "../../vm/spec.ts";
import type { MachineHandles } from "../../vm/standby.ts";
import type { TemplateStore } from "../../vm/template/store.ts";
import { askForOffer, type OpenOffer } from "./offer.ts";
import { removeSocket, StandbyPlaces, standbyDirectory } from "./places.ts";

/** A VM that stood by, with descriptors of this process: end() closes those that nobody has taken. */
export interface Standby {
  /** QEMU's, and of the program that holds it. */
  readonly pids: readonly number[];
  /** Taken over by whoever is given it. */
  readonly network: LentNetwork;
  /** To be reached until accept() has been called. */
  readonly share: LentShare;
  /** The caller takes the VM over. */
  take(): MachineHandles;
  /** Whoever has held it need not do so any longer. */
  accept(): void;
  end(): void;
}

/**
 * Takes over a VM that stands by.
 * @param deviceCount how many network devices it must have.
 * @returns undefined when there is none of this shape.
 */
export async function claimStandby(
  settings: Pick<Settings, "templateDir">,
  templates: TemplateStore,
  vm: VmSpec,
  deviceCount: number,
): Promise<Standby | undefined> {
  // The template's key takes a while to make, and on most hosts no VM has ever stood by.
  if (!existsSync(standbyDirectory(settings))) return undefined;
  const networks = Array.from({ length: deviceCount }, () => ANY_TAP);
  const places = new StandbyPlaces(settings, templates.keyOf({ ...vm, networks }));
  for (const socket of places.sockets()) {
    const open = await askForOffer(socket);
    const standby = open && takeAll(open);
    if (standby !== undefined) return standby;
    removeSocket(socket);
  }
  return undefined;
}

/** Ends the VMs that stand by in these places: an offer that is asked for and not accepted is over. */
export async function dismiss(places: StandbyPlaces): Promise<void> {
  for (const socket of places.sockets()) {
    using open = await askForOffer(socket);
    if (open === undefined) removeSocket(socket);
  }
}

/** @returns undefined when the holder is gone; the VM is, too, then. */
function takeAll(open: OpenOffer): Standby | undefined {
  const { pid, machine, share, network } = open.offer;
  const taken: number[] = [];
  const end = () => {
    for (const fd of taken.splice(0)) closeSync(fd);
    open[Symbol.dispose]();
  };
  const take = (fd: number): number => {
    const own = takeFd(pid, fd);
    taken.push(own);
    return own;
  };
  try {
    const { leash, stderr, qmp, console } = machine;
    const namespace = takeFd(pid, network.namespace);
    const handles = { ...machine, leash: take(leash), stderr: take(stderr), qmp: take(qmp), console: take(console) };
    return {
      pids: [machine.pid, machine.leashPid],
      network: { ...network, namespace },
      share,
      take() {
        taken.length = 0;
        return handles;
      },
      accept: () => open.accept(),
      end,
    };
  } catch {
    end();
    return undefined;
  }
}
