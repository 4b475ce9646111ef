/**
 * The system calls Node lacks. Every function is synchronous, runs on the calling thread and throws an Error like those
 * of node:fs: `code` ("ENOENT"), `errno` (negative) and `syscall`. A wrong argument is a TypeError with the code
 * ERR_INVALID_ARG_TYPE. Every descriptor returned is close-on-exec and belongs to the caller, who closes it.
 */
export type { Credentials, PosixConstants, Pty, ReceivedFd, Tap, Winsize } from "./addon.ts";
export { constants } from "./addon.ts";
export * from "./descriptors.ts";
export * from "./kernel.ts";
export * from "./mounts.ts";
export * from "./namespaces.ts";
export * from "./network.ts";
export * from "./processes.ts";
export * from "./sockets.ts";
export * from "./terminal.ts";
