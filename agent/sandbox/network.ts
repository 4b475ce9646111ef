/** The guest's network: carries out what the host has written down for the guest's kernel. */
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { constants, setns } from "../../native/posix/index.ts";
import { NetlinkSocket } from "../../native/posix/netlink.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { NetworkDevice } from "../../protocol/generated/agent.ts";

const DEVICES = "/sys/class/net";

/**
 * Sends requests to rtnetlink(7) in the network namespace of that process of the guest, 0 for the agent's own.
 * @throws CAISSON_E_NETWORK, its field being `requests[i]`, for the first one that the kernel refuses.
 */
export function applyNetwork(requests: Uint8Array, pid: number): void {
  using socket = pid === 0 ? new NetlinkSocket() : inNamespaceOf(pid, () => new NetlinkSocket());
  const [refusal] = socket.transact(requests);
  if (refusal === undefined) return;
  const { index, errno, message } = refusal;
  const words = message === "" ? "" : `: ${message}`;
  const field = `requests[${index}]`;
  throw new CaissonError("CAISSON_E_NETWORK", `the guest's kernel refuses ${field}: errno ${errno}${words}`, { field });
}

export function networkDevices(): NetworkDevice[] {
  return readdirSync(DEVICES)
    .filter((name) => name !== "lo")
    .map((name) => ({
      index: Number(readFileSync(`${DEVICES}/${name}/ifindex`, "utf8")),
      mac: Buffer.from(readFileSync(`${DEVICES}/${name}/address`, "utf8").trim().replaceAll(":", ""), "hex"),
    }));
}

function inNamespaceOf<T>(pid: number, run: () => T): T {
  const own = openSync("/proc/thread-self/ns/net", "r");
  try {
    const other = openSync(`/proc/${pid}/ns/net`, "r");
    try {
      setns(other, constants.CLONE_NEWNET);
    } finally {
      closeSync(other);
    }
    try {
      return run();
    } finally {
      setns(own, constants.CLONE_NEWNET);
    }
  } finally {
    closeSync(own);
  }
}
