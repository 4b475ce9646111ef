import { join } from "node:path";
import type { Duplex } from "node:stream";
import { CaissonError } from "../../../protocol/errors.ts";
import type { NetworkDevice } from "../../../protocol/generated/agent.ts";
import { PROTOCOL } from "../../../protocol/guest-contract.ts";
import type { Spec } from "../../../protocol/oci.ts";
import type { Agent } from "../../guest/agent/client.ts";
import { connectAgent } from "../../guest/agent/connect.ts";
import { sandboxRequest } from "../../guest/create-sandbox-request.ts";
import { updateNetwork } from "../../guest/network.ts";
import { FIRST_GUEST_INDEX } from "../../network/guest-requests.ts";
import { encodeBatch } from "../../network/message.ts";
import { defaultSpec } from "../../oci/default-spec.ts";
import { Share } from "../../storage/share.ts";
import type { Virtiofsd } from "../../storage/virtiofsd/find.ts";
import { startVirtiofsd } from "../../storage/virtiofsd/process.ts";
import { initialMac, type VmSpec } from "../../vm/spec.ts";
import type { Warm } from "../template/build.ts";
import { live, processOf } from "./container.ts";
import { WARM_NETWORK, WARM_NETWORK_UNDONE } from "./network.ts";
import { livePod } from "./pod.ts";

/** A root file system in the guest image with busybox in /bin. */
const WARM_ROOTFS = "/usr/lib/caisson/warm";
const WARM_ID = "warm";
/** In /bin of the root of the container that warms up a fork server: any static program that ends at once. Containers have theirs looked for, too. */
export const WARM_UP_PROGRAM = "warm-up";
/**
 * The memory that is free next has had programs in it, which QEMU has translated: each page would have to be told apart from
 * its translations in every fork, when it is written to. So that is done once.
 */
const OVERWRITING = ["dd", "if=/dev/zero", "of=/dev/shm/overwritten", "bs=64k", "count=320"];
/** A VM is booted and then warmed within this many times the limit of a boot. */
export const WARM_UP_LIMIT_FACTOR = 2;
/** Enough for V8 to have compiled, and mostly optimised, what a container's start runs through. */
const ROUNDS = 6;

/** What of a VM its guest is told. */
type GuestShape = Pick<VmSpec, "machine" | "memoryMib" | "ceilingMib" | "passed">;

/**
 * Makes sure that the agent speaks our protocol, and that the guest has numbered its network devices as we do: those of functions of the host's come
 * after its own.
 * @param own how many it has of its own, where it has others.
 * @returns how many network devices it has.
 * @throws CaissonError CAISSON_E_AGENT when it does not, CAISSON_E_NETWORK when it has not.
 */
export async function greet(
  agent: Pick<Agent, "call">,
  signal: AbortSignal,
  own = Number.POSITIVE_INFINITY,
): Promise<number> {
  const { protocolMajor, agentVersion, networkDevices } = await agent.call("check", {}, { signal });
  if (protocolMajor === PROTOCOL.major) {
    for (const device of networkDevices) if (device.index < FIRST_GUEST_INDEX + own) checkNumber(device);
    return networkDevices.length;
  }
  throw new CaissonError(
    "CAISSON_E_AGENT",
    `the guest's agent ${agentVersion} speaks protocol ${protocolMajor}, and this host speaks ${PROTOCOL.major}`,
    { remedy: "Use the guest image that was built with this version." },
  );
}

function checkNumber({ index, mac }: NetworkDevice): void {
  const found = mac.toString("hex", 0, 6).replace(/(..)(?!$)/g, "$1:");
  if (found === initialMac(index - FIRST_GUEST_INDEX)) return;
  throw new CaissonError(
    "CAISSON_E_NETWORK",
    `the guest's network interface ${index} is the device ${found}, not its own`,
    {
      remedy: "Use the guest image that was built with this version.",
    },
  );
}

/**
 * What exercises a freshly booted guest the way a sandbox does, with a shared directory, throw-away containers and processes, so that its
 * clones run compiled code from memory that has been touched. It then ends its own connection, since a clone brings a new one, and the VM
 * is without the directory's device again. Needs a private mount namespace (storage/share.ts).
 */
export function warmUpWith(virtiofsd: Virtiofsd, vm: GuestShape): Warm {
  return async (machine, signal, folder) => {
    using undo = new DisposableStack();
    const share = undo.adopt(new Share(join(folder, "share")), (each) => each.close());
    // Added to a guest that runs, as a clone's is.
    const begin = () => machine.addShare(startVirtiofsd(virtiofsd, share.served), signal);
    await exercise(vm, machine.agent, signal, { begin, rounds: ROUNDS }, (agent) => live(agent, warmSpec(), ["cat"]));
    await machine.removeShare(signal);
  };
}

/** Warms up a QEMU that is to be forked: with a container whose files are the host's, as the sandboxes' are. */
export async function warmUpForked(
  vm: GuestShape,
  connection: Duplex,
  share: Share,
  rootfs: string,
  signal: AbortSignal,
): Promise<void> {
  await exercise(vm, connection, signal, { rounds: 1 }, async (agent, devices) => {
    const own = { ...defaultSpec(), process: processOf([WARM_UP_PROGRAM]), root: { path: rootfs } };
    try {
      await live(agent, share.addContainer(WARM_ID, own, rootfs, rootfs));
    } finally {
      share.removeContainer(WARM_ID);
    }
    if (devices > 0) await livePod(agent, share, rootfs, processOf([WARM_UP_PROGRAM]));
    await live(agent, warmSpec(), OVERWRITING);
  });
}

async function exercise(
  vm: GuestShape,
  connection: Duplex,
  signal: AbortSignal,
  { begin, rounds }: { begin?: () => Promise<void>; rounds: number },
  run: (agent: Agent, devices: number) => Promise<void>,
): Promise<void> {
  const agent = await connectAgent(connection);
  try {
    const devices = await greet(agent, signal);
    await begin?.();
    for (let round = 0; round < rounds; round++) {
      const network = devices > 0 ? WARM_NETWORK : [];
      await agent.createSandbox(sandboxRequest("warm", "info", encodeBatch(network), vm), signal);
      await run(agent, devices);
      await agent.call("adjustClock", { slewNs: 0n }, { signal });
      if (devices > 0) await updateNetwork(agent, { pid: 0, requests: WARM_NETWORK_UNDONE });
      await agent.call("destroySandbox", {}, { signal });
    }
  } finally {
    agent.close();
    await agent.closed;
  }
}

function warmSpec(): Spec {
  return {
    ...defaultSpec(),
    process: processOf(["/bin/busybox", "sleep", "1000"]),
    root: { path: WARM_ROOTFS, readonly: true },
  };
}
