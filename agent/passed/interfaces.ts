/** Network interfaces of PCI functions that were passed to the VM. */
import { readFileSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { NetlinkSocket, NLMSG_HEADER_BYTES } from "../../native/posix/netlink.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { foldersBelow } from "./sysfs.ts";

/** rtnetlink(7), linux/if_link.h */
const RTM_NEWLINK = 16;
const NLM_F_REQUEST_ACK = 1 | 4;
const IFINFOMSG_BYTES = 16;
const IFLA_NET_NS_PID = 19;
const ATTRIBUTE_BYTES = 8;

/** The folders of a function's interfaces in this network namespace, below that of the function: virtio has a device of its own in between. */
export function interfacesOf(folder: string): string[] {
  return foldersBelow(folder)
    .filter(({ path, names }) => basename(dirname(path)) === "net" && names.includes("ifindex"))
    .map(({ path }) => path);
}

/**
 * Gives a container with a network namespace of its own the interfaces of its functions; with that namespace's end they are the guest's again.
 * @param pid of its init. @throws CaissonError CAISSON_E_NETWORK.
 */
export function giveInterfaces(folders: readonly string[], pid: number): void {
  const isOwn = statSync(`/proc/${pid}/ns/net`).ino !== statSync("/proc/self/ns/net").ino;
  const found = isOwn ? folders.flatMap(interfacesOf) : [];
  if (found.length === 0) return;
  const indexes = found.map((path) => Number(readFileSync(`${path}/ifindex`, "latin1")));
  using socket = new NetlinkSocket();
  const [refusal] = socket.transact(Buffer.concat(indexes.map((index, number) => moveRequest(index, pid, number))));
  if (refusal === undefined) return;
  const { index, errno, message } = refusal;
  const what = `the container does not get the interface ${basename(found[index] ?? "")}: errno ${errno} ${message}`;
  throw new CaissonError("CAISSON_E_NETWORK", what.trimEnd());
}

/** As netlink(7) has it on x86-64. */
export function moveRequest(index: number, pid: number, number: number): Buffer {
  const request = Buffer.alloc(NLMSG_HEADER_BYTES + IFINFOMSG_BYTES + ATTRIBUTE_BYTES);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(RTM_NEWLINK, 4);
  request.writeUInt16LE(NLM_F_REQUEST_ACK, 6);
  request.writeUInt32LE(number, 8);
  request.writeInt32LE(index, NLMSG_HEADER_BYTES + 4);
  const attribute = NLMSG_HEADER_BYTES + IFINFOMSG_BYTES;
  request.writeUInt16LE(ATTRIBUTE_BYTES, attribute);
  request.writeUInt16LE(IFLA_NET_NS_PID, attribute + 2);
  request.writeUInt32LE(pid, attribute + 4);
  return request;
}
