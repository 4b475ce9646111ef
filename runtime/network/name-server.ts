import { readFileSync } from "node:fs";

/** Where Docker's name server of a network is: in the network namespace of each container. */
export const NAME_SERVER = Buffer.from([127, 0, 0, 11]);

/** Whether somebody has a socket there, in the network namespace of the main thread (proc(5), /proc/net/udp). */
export function hasNameServer(): boolean {
  const address = NAME_SERVER.readUInt32LE().toString(16).toUpperCase().padStart(8, "0");
  return readFileSync("/proc/thread-self/net/udp", "utf8").includes(` ${address}:`);
}
