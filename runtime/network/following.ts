import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import type { NetworkDevice } from "../vm/spec.ts";
import type { Dump, Link } from "./dump.ts";
import type { GuestRequests } from "./told.ts";

/** What following does to the VM. */
export interface FollowingVm {
  /** Whether it has ended: then nothing is done any more, nor told. */
  readonly isOver: boolean;
  /**
   * Gives the guest the interface of a device, and the VM that device if it does not have it.
   * @returns the interface's index in the guest. @throws what the VM and its agent refuse; the VM does not have it then.
   */
  attach(device: number, added: NetworkDevice | undefined): Promise<number>;
  /** Takes an interface from the guest, and its device from the VM if it was added. @throws as attach() does. */
  detach(device: number, index: number, isAdded: boolean): Promise<void>;
  /** Throws what the guest's kernel refuses. */
  tell(requests: GuestRequests): Promise<void>;
}

/** An interface of the namespace that the VM has, or had. */
interface Held {
  link: number;
  device: number;
}

/** A sandbox's network namespace, as far as following it needs. */
export interface FollowedNetwork {
  /** Throws CAISSON_E_NETWORK where something is in the namespace that a VM cannot have. */
  survey(): { dump: Dump; gone: Held[]; late: Link[] };
  /**
   * The VM no longer has the interface.
   * @returns its index in the guest, whether its device was added to the VM, and what the guest is to be told before it can give it up.
   */
  letGo(held: Held): { index: number; isAdded: boolean; back?: GuestRequests | undefined };
  /** The device for an interface, with its tap if it has to be added. Throws CAISSON_E_NETWORK when the VM can have no more. */
  reserve(link: Link): { device: number; added: NetworkDevice | undefined };
  /** The guest has it under that index: connects the interface with the device's tap. Throws CAISSON_E_NETWORK. */
  connectLate(dump: Dump, link: Link, device: number, index: number): void;
  /** The device is not in use, after all. */
  abandon(device: number): void;
  /** What the guest is to be told now, and what it is to undo. */
  untold(dump: Dump): { steps: readonly GuestRequests[]; undone: GuestRequests };
}

/**
 * Makes the guest's network what its namespace is now: interfaces that have come, that have gone, and what has changed of the others. What cannot be done
 * is told in the log.
 * @returns whether all of it could be done.
 */
export async function follow(network: FollowedNetwork, vm: FollowingVm): Promise<boolean> {
  let isDone = true;
  const { gone, late } = network.survey();
  for (const held of gone) {
    const { index, isAdded, back } = network.letGo(held);
    const isGone = await succeeds(vm, "the VM keeps an interface that has left its network namespace", async () => {
      if (back !== undefined) await vm.tell(back);
      await vm.detach(held.device, index, isAdded);
      if (isAdded) network.abandon(held.device);
    });
    isDone &&= isGone;
  }
  for (const link of late) {
    const what = `the VM does not get ${link.name}, which has come into its network namespace`;
    const isTaken = await succeeds(vm, what, () => take(network, vm, link));
    isDone &&= isTaken;
  }
  const { dump } = network.survey();
  const { steps, undone } = network.untold(dump);
  for (const step of steps) {
    const isTold = await succeeds(vm, "the guest's network is not as its namespace's", () => vm.tell(step));
    isDone &&= isTold;
  }
  if (undone.requests.length === 0 || vm.isOver) return isDone;
  // What went with something else is not there to be undone.
  await vm.tell(undone).catch((error: unknown) => log.debug(`the guest had not to undo all: ${formatError(error)}`));
  return isDone;
}

async function take(network: FollowedNetwork, vm: FollowingVm, link: Link): Promise<void> {
  const { device, added } = network.reserve(link);
  let index: number;
  try {
    index = await vm.attach(device, added);
  } catch (error) {
    network.abandon(device);
    throw error;
  }
  const { dump } = network.survey();
  // Others may have renamed it, or taken it away again, meanwhile.
  const now = dump.links.find((each) => each.index === link.index);
  try {
    if (now === undefined) throw new Error("it has left again");
    network.connectLate(dump, now, device, index);
    log.info(`the VM has got ${now.name}, which has come into its network namespace`);
  } catch (error) {
    network.letGo({ link: link.index, device });
    await vm.detach(device, index, added !== undefined);
    network.abandon(device);
    throw error;
  }
}

async function succeeds(vm: FollowingVm, what: string, run: () => Promise<void>): Promise<boolean> {
  if (vm.isOver) return true;
  try {
    await run();
    return true;
  } catch (error) {
    if (!vm.isOver) log.warning(`${what}: ${formatError(error)}`);
    return false;
  }
}
