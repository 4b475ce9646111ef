/** Requests about links: struct ifinfomsg and the attributes that several of them use (linux/if_link.h). */
import { type Attribute, byte, nested } from "./attributes.ts";

export const RTM_NEWLINK = 16;
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  TXQLEN: 13,
  LINKINFO: 18,
  NET_NS_PID: 19,
  AF_SPEC: 26,
  LINK_NETNSID: 37,
} as const;
export const IFF_UP = 0x1;
export const IFF_LOOPBACK = 0x8;
export const IFF_NOARP = 0x80;

export const AF_INET6 = 10;
export const IFLA_INET6_ADDR_GEN_MODE = 8;
/** Made from the MAC, and not made. */
export const IN6_ADDR_GEN_MODE_EUI64 = 0;
export const IN6_ADDR_GEN_MODE_NONE = 1;

/** How the kernel makes the link-local address; to be sent before the link is up. */
export function addressMode(mode: number): Attribute {
  return nested(IFLA.AF_SPEC, [nested(AF_INET6, [byte(IFLA_INET6_ADDR_GEN_MODE, mode)])]);
}

/** @param change which of the flags are meant. */
export function ifinfomsg(index: number, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}
