/** What addon.c offers, as it is; the functions around it are in the files beside. */
import { loadAddon } from "../addon.ts";

export interface Winsize {
  /** Lines of text, 0 to 65535. */
  rows: number;
  /** Characters a line, 0 to 65535. */
  columns: number;
}

export interface Pty {
  master: number;
  slave: number;
}

export interface ReceivedFd {
  fd: number;
  /** The bytes that came with it, 1 to 4096. */
  data: Buffer;
}

export interface Tap {
  /** Non-blocking. */
  fd: number;
  name: string;
  /** The interface's index in its network namespace. */
  index: number;
}

/** Who a process acts as, in the caller's user namespace. */
export interface Credentials {
  uid: number;
  gid: number;
  /** Supplementary ones. */
  groups: number[];
}

/** Flags of unshare(2), setns(2), mount(2), umount2(2) and flock(2), named as in their manual pages. */
export interface PosixConstants {
  readonly CLONE_FS: number;
  readonly CLONE_FILES: number;
  readonly CLONE_NEWNS: number;
  readonly CLONE_NEWCGROUP: number;
  readonly CLONE_NEWUTS: number;
  readonly CLONE_NEWIPC: number;
  readonly CLONE_NEWUSER: number;
  readonly CLONE_NEWPID: number;
  readonly CLONE_NEWNET: number;
  readonly CLONE_NEWTIME: number;
  readonly MS_RDONLY: number;
  readonly MS_NOSUID: number;
  readonly MS_NODEV: number;
  readonly MS_NOEXEC: number;
  readonly MS_SYNCHRONOUS: number;
  readonly MS_REMOUNT: number;
  readonly MS_MANDLOCK: number;
  readonly MS_DIRSYNC: number;
  readonly MS_NOSYMFOLLOW: number;
  readonly MS_NOATIME: number;
  readonly MS_NODIRATIME: number;
  readonly MS_BIND: number;
  readonly MS_MOVE: number;
  readonly MS_REC: number;
  readonly MS_SILENT: number;
  readonly MS_POSIXACL: number;
  readonly MS_UNBINDABLE: number;
  readonly MS_PRIVATE: number;
  readonly MS_SLAVE: number;
  readonly MS_SHARED: number;
  readonly MS_RELATIME: number;
  readonly MS_I_VERSION: number;
  readonly MS_STRICTATIME: number;
  readonly MS_LAZYTIME: number;
  readonly MNT_FORCE: number;
  readonly MNT_DETACH: number;
  readonly MNT_EXPIRE: number;
  readonly UMOUNT_NOFOLLOW: number;
  readonly LOCK_SH: number;
  readonly LOCK_EX: number;
  readonly LOCK_NB: number;
  readonly LOCK_UN: number;
}

interface PosixAddon {
  constants: PosixConstants;
  socketpair(): [number, number];
  pipe(): [number, number];
  connectUnix(path: string): number;
  listenUnix(path: string): number;
  sendFds(socketFd: number, fds: Uint8Array, data: Uint8Array): void;
  recvFd(socketFd: number): ReceivedFd;
  pidfdOpen(pid: number): number;
  takeFd(pid: number, fd: number): number;
  dup2(fd: number, target: number): void;
  nextData(fd: number, from: number): [start: number, end: number] | undefined;
  closeOnExecFrom(first: number): void;
  flock(fd: number, operation: number): boolean;
  lockByte(fd: number, offset: number): boolean;
  shareByte(fd: number, offset: number, held: boolean): void;
  isByteShared(fd: number, offset: number): boolean;
  syncfs(fd: number): void;
  openpty(): Pty;
  setWinsize(fd: number, rows: number, columns: number): void;
  getWinsize(fd: number): Winsize;
  makeRaw(fd: number): void;
  getOnlcr(fd: number): boolean;
  setOnlcr(fd: number, on: boolean): void;
  setControllingTerminal(fd: number): void;
  unblockSignal(signal: number): void;
  unshare(flags: number): void;
  setns(fd: number, nstype: number): void;
  chroot(fd: number): void;
  pivotRoot(): void;
  netlinkSocket(protocol: number): number;
  netlinkWatch(groups: number): number;
  openTap(name: string, persistent: boolean): Tap;
  mount(source: string | null, target: string, fstype: string | null, flags: number, data: string | null): void;
  umount(target: string, flags: number): void;
  cloneMounts(path: string, recursive: boolean): number;
  setReadOnly(fd: number): void;
  spawnProgram(
    pathAndWords: Uint8Array,
    fds: Uint8Array,
    environment: Uint8Array,
    directory: string,
    namespaces: Uint8Array,
    root: number,
  ): number;
  /** The status that waitpid(2) gives; -1 when the process still runs, and `wait` is false. */
  reap(pid: number, wait: boolean): number;
  exitAtOnce(code: number): never;
  trimMemory(): void;
  mapText(path: string, head: string, tail: string): string;
  attachMounts(fd: number, target: string): void;
  hasAttribute(path: string, name: string): boolean;
  idMap(uids: string, gids: string): number;
  peerCredentials(fd: number): Credentials;
  connectUnixAs(path: string, uid: number, gid: number, groups: Uint8Array): number;
  mapIds(fd: number, idMap: number, recursive: boolean): void;
  clockSettime(realtimeNs: bigint): void;
  realtime(): bigint;
  adjustRealtime(differenceNs: bigint): void;
  slewRealtime(differenceNs: bigint): void;
  addEntropy(data: Uint8Array): void;
  loadDeviceFilter(program: Uint8Array): number;
  attachDeviceFilter(cgroupFd: number, filterFd: number, replacedFd: number): void;
  readTsc(): bigint;
}

export const addon = loadAddon("posix") as PosixAddon;

export const constants: PosixConstants = addon.constants;
