/**
 * The system calls Node lacks. Every function is synchronous, runs on the calling thread and throws an Error like those
 * of node:fs: `code` ("ENOENT"), `errno` (negative) and `syscall`. A wrong argument is a TypeError with the code
 * ERR_INVALID_ARG_TYPE. Every descriptor returned is close-on-exec and belongs to the caller, who closes it.
 */
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
  openTap(name: string, persistent: boolean): Tap;
  mount(source: string | null, target: string, fstype: string | null, flags: number, data: string | null): void;
  umount(target: string, flags: number): void;
  cloneMounts(path: string, recursive: boolean): number;
  setReadOnly(fd: number): void;
  spawnProgram(words: Uint8Array, fds: Uint8Array, environment: Uint8Array): number;
  reap(pid: number): number;
  attachMounts(fd: number, target: string): void;
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

const addon = loadAddon("posix") as PosixAddon;

export const constants: PosixConstants = addon.constants;

/** Two connected stream sockets (AF_UNIX, blocking). */
export function socketpair(): [number, number] {
  return addon.socketpair();
}

/** A pipe (both ends blocking), the end to read from first. */
export function pipe(): [read: number, write: number] {
  return addon.pipe();
}

/**
 * A stream socket connected to the Unix socket at `path`, for what node:net cannot do with one: passing descriptors.
 * @throws EAGAIN when the listener's backlog is full: it never waits. ENAMETOOLONG past 107 bytes (unix(7)).
 */
export function connectUnix(path: string): number {
  return addon.connectUnix(path);
}

/**
 * A stream socket that listens at `path`, whose connections node:net is not to accept.
 * @throws EADDRINUSE when there is something, ENAMETOOLONG past 107 bytes (unix(7)).
 */
export function listenUnix(path: string): number {
  return addon.listenUnix(path);
}

/** Who has connected to a Unix socket, or bound it (unix(7), SO_PEERCRED and SO_PEERGROUPS). */
export function peerCredentials(fd: number): Credentials {
  return addon.peerCredentials(fd);
}

/**
 * As connectUnix(), but as somebody else: what the socket lets him do counts, and he is whom the listener sees, in this process. Takes root.
 * The socket is non-blocking.
 * @throws EACCES when he may not connect.
 */
export function connectUnixAs(path: string, { uid, gid, groups }: Credentials): number {
  return addon.connectUnixAs(path, uid, gid, new Uint8Array(Uint32Array.from(groups).buffer));
}

/**
 * Sends copies of 1 to 253 descriptors over a Unix socket, with 1 to 4096 bytes that say what they are.
 * @throws EAGAIN when the socket's buffer is full: it never waits.
 */
export function sendFds(socketFd: number, fds: readonly number[], data: Uint8Array): void {
  addon.sendFds(socketFd, new Uint8Array(Int32Array.from(fds).buffer), data);
}

/**
 * Takes one message that carries one descriptor.
 * @throws EAGAIN when none has come yet (it never waits), ECONNRESET when the peer has closed, ENOMSG when bytes came
 *   without a descriptor; those bytes are dropped.
 */
export function recvFd(socketFd: number): ReceivedFd {
  return addon.recvFd(socketFd);
}

/**
 * A descriptor that refers to a process, however often its pid is used again (pidfd_open(2)).
 * @throws ESRCH when there is no such process.
 */
export function pidfdOpen(pid: number): number {
  return addon.pidfdOpen(pid);
}

/**
 * A copy of another process's file descriptor (pidfd_getfd(2); needs Linux 5.6 and the right to trace that process).
 * @throws ESRCH when there is no such process, EBADF when it has no such descriptor, EPERM.
 */
export function takeFd(pid: number, fd: number): number {
  return addon.takeFd(pid, fd);
}

/**
 * Makes `target` a copy of `fd` in one step (dup(2)), so that no other file lands on it meanwhile; what it was is closed.
 * @throws EBADF when `fd` is not open.
 */
export function dup2(fd: number, target: number): void {
  addon.dup2(fd, target);
}

/** Keeps all descriptors that are open now, from this number on, from programs that are started without naming them (close_range(2)). */
export function closeOnExecFrom(first: number): void {
  addon.closeOnExecFrom(first);
}

/**
 * flock(2). Without LOCK_NB it stops the event loop until the lock is free.
 * @returns false when LOCK_NB was given and another holds the lock.
 */
export function flock(fd: number, operation: number): boolean {
  return addon.flock(fd, operation);
}

/**
 * Locks one byte of a file that is open for writing, which need not have it: for as long as this opening of the file lasts
 * (fcntl(2), "Open file description locks"). Does not wait.
 * @returns false when another opening has it locked.
 */
export function lockByte(fd: number, offset: number): boolean {
  return addon.lockByte(fd, offset);
}

/** Takes one byte of a file as lockByte() does, but beside others that have it so, or lets it go. Does not wait. */
export function shareByte(fd: number, offset: number, held: boolean): void {
  addon.shareByte(fd, offset, held);
}

/** Whether another opening of the file has this byte. */
export function isByteShared(fd: number, offset: number): boolean {
  return addon.isByteShared(fd, offset);
}

/** Writes back everything dirty in the file system that `fd` is on, and waits for it (syncfs(2)). */
export function syncfs(fd: number): void {
  addon.syncfs(fd);
}

/** A new pseudo-terminal from /dev/ptmx; neither end becomes the controlling terminal. */
export function openpty(): Pty {
  return addon.openpty();
}

/** Sets a terminal's size; its foreground process group gets SIGWINCH if that is a change. */
export function setWinsize(fd: number, rows: number, columns: number): void {
  addon.setWinsize(fd, rows, columns);
}

export function getWinsize(fd: number): Winsize {
  return addon.getWinsize(fd);
}

/** Puts a terminal into raw mode, as cfmakeraw(3) says, at once. */
export function makeRaw(fd: number): void {
  addon.makeRaw(fd);
}

/** Whether a terminal's mode says that "\n" goes out as "\r\n" (ONLCR, termios(3)); it does so only where OPOST is on, too. */
export function getOnlcr(fd: number): boolean {
  return addon.getOnlcr(fd);
}

/** Sets or clears ONLCR, at once. */
export function setOnlcr(fd: number, on: boolean): void {
  addon.setOnlcr(fd, on);
}

/** Makes a terminal the controlling one of this process, which must lead a session that has none (TIOCSCTTY). */
export function setControllingTerminal(fd: number): void {
  addon.setControllingTerminal(fd);
}

/**
 * Lets the calling thread take a signal that was blocked; what came meanwhile comes now. Node blocks SIGUSR1 when it is
 * told with --disable-sigusr1 not to start its debugger for it, and a listener alone does not unblock it.
 * @throws EINVAL when there is no such signal.
 */
export function unblockSignal(signal: number): void {
  addon.unblockSignal(signal);
}

/**
 * unshare(2), of the calling thread only. Threads of libuv's pool that already run (any asynchronous fs call starts
 * them) stay in the old namespace, so a process that means itself as a whole does this first, before anything that is
 * asynchronous; children and threads started later follow. CLONE_NEWUSER is EINVAL: Node is multi-threaded.
 */
export function unshare(flags: number): void {
  addon.unshare(flags);
}

/**
 * setns(2), of the calling thread only: see unshare().
 * @param nstype the one CLONE_NEW* flag the descriptor must be of, or 0 for any.
 */
export function setns(fd: number, nstype: number): void {
  addon.setns(fd, nstype);
}

/** chroot(2) to an open directory, which becomes the working directory, too; of the calling thread only after unshare(CLONE_FS). */
export function chroot(fd: number): void {
  addon.chroot(fd);
}

/** pivot_root(2): the working directory, a mount, becomes the root, and has the old root mounted on it. */
export function pivotRoot(): void {
  addon.pivotRoot();
}

/**
 * A netlink socket (netlink(7)) in the calling thread's network namespace, where it stays. Its answers leave the request
 * out and end with the kernel's own words, where it has some; reading gives up after 5 s with EAGAIN.
 * @param protocol 0 for rtnetlink(7).
 */
export function netlinkSocket(protocol: number): number {
  return addon.netlinkSocket(protocol);
}

/**
 * A new tap interface with offload headers (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR) in the calling thread's network namespace.
 * @param name at most 15 characters; "%d" in it becomes the first free number.
 * @param persistent whether it stays until its namespace goes. Otherwise it goes when the last copy of its descriptor is
 *   closed, which waits for that (some 15 ms).
 */
export function openTap(name: string, persistent = false): Tap {
  return addon.openTap(name, persistent);
}

export function mount(
  source: string | null,
  target: string,
  fstype: string | null,
  flags: number,
  data: string | null,
): void {
  addon.mount(source, target, fstype, flags, data);
}

/** umount2(2). */
export function umount(target: string, flags: number): void {
  addon.umount(target, flags);
}

/**
 * A copy of the mount at `path`, with all below it if `recursive` (open_tree(2), OPEN_TREE_CLONE), mounted nowhere: it goes
 * with its descriptor, unless attachMounts() has been called.
 */
export function cloneMounts(path: string, recursive: boolean): number {
  return addon.cloneMounts(path, recursive);
}

/**
 * Runs a program as a child of this process, in a session of its own, in "/". node:child_process takes 8 ms to load, and
 * copies all our page tables.
 * @param words its absolute path, and its arguments. @param fds what it has as its descriptors 0, 1, ...; it has no others.
 * @param environment all that it has, as NAME=VALUE.
 * @returns its pid, for reap(). @throws the system's error when it cannot be run.
 */
export function spawnProgram(
  words: readonly string[],
  fds: readonly number[],
  environment: readonly string[] = [],
): number {
  const strings = (list: readonly string[]) => Buffer.from(list.map((word) => `${word}\0`).join(""));
  return addon.spawnProgram(strings(words), new Uint8Array(Int32Array.from(fds).buffer), strings(environment));
}

/** How a child of spawnProgram() ended; waits until it has. */
export function reap(pid: number): { exitCode: number } | { signal: number } {
  const status = addon.reap(pid);
  const signal = status & 0x7f;
  return signal === 0 ? { exitCode: (status >> 8) & 0xff } : { signal };
}

/** Makes what cloneMounts() made read-only, but nothing below it (mount_setattr(2)). */
export function setReadOnly(fd: number): void {
  addon.setReadOnly(fd);
}

/** Mounts what cloneMounts() made, also that of another mount namespace, on `target` (move_mount(2)). */
export function attachMounts(fd: number, target: string): void {
  addon.attachMounts(fd, target);
}

/**
 * A user namespace that nobody is in, for mapIds() (user_namespaces(7)).
 * @param uids lines of /proc/PID/uid_map: an id of the file system, the id that it is shown as, how many.
 * @returns its descriptor. @throws EINVAL when the kernel does not take the maps.
 */
export function idMap(uids: string, gids: string): number {
  return addon.idMap(uids, gids);
}

/**
 * Maps the ids of what cloneMounts() made, and of what is mounted below it if `recursive` (mount_setattr(2), MOUNT_ATTR_IDMAP).
 * @throws EINVAL where the file system cannot be, EPERM where it is mapped already.
 */
export function mapIds(fd: number, idMap: number, recursive: boolean): void {
  addon.mapIds(fd, idMap, recursive);
}

/** Sets CLOCK_REALTIME, in nanoseconds since the epoch. */
export function clockSettime(realtimeNs: bigint): void {
  addon.clockSettime(realtimeNs);
}

/** CLOCK_REALTIME, nanoseconds since the epoch. */
export function realtime(): bigint {
  return addon.realtime();
}

/** Steps CLOCK_REALTIME by a difference in nanoseconds, which may be negative. Takes CAP_SYS_TIME. */
export function adjustRealtime(differenceNs: bigint): void {
  addon.adjustRealtime(differenceNs);
}

/**
 * Lets CLOCK_REALTIME run faster or slower by 500 parts per million until it has made up for a difference in nanoseconds, in
 * place of an earlier one (adjtime(3)). Takes CAP_SYS_TIME.
 */
export function slewRealtime(differenceNs: bigint): void {
  addon.slewRealtime(differenceNs);
}

/**
 * Mixes 1 to 4096 secret bytes into the kernel's random pool, credits all of them, and has the generator take a new key
 * from it at once (random(4): RNDADDENTROPY, RNDRESEEDCRNG), so that two clones of one memory image differ from here on.
 */
export function addEntropy(data: Uint8Array): void {
  addon.addEntropy(data);
}

/**
 * Loads an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE (8 bytes an instruction).
 * @returns its descriptor, for the caller to close; cgroups that have it attached keep it.
 * @throws with the end of the verifier's log in the message when the kernel refuses the program.
 */
export function loadDeviceFilter(program: Uint8Array): number {
  return addon.loadDeviceFilter(program);
}

/**
 * Attaches a loaded device filter to a cgroup v2 folder, in the place of the one `replacedFd` or else in addition to those
 * already there; a device is allowed when all of them allow it.
 */
export function attachDeviceFilter(cgroupFd: number, filterFd: number, replacedFd = -1): void {
  addon.attachDeviceFilter(cgroupFd, filterFd, replacedFd);
}

/** The processor's time stamp counter (RDTSC), which an emulated guest reads as well, whatever its rate. */
export function readTsc(): bigint {
  return addon.readTsc();
}
