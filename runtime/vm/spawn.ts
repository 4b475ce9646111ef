import { closeSync, openSync } from "node:fs";
import type { Readable } from "node:stream";
import { execa } from "execa";
import { builtFile } from "../../native/addon.ts";
import { FIRST_INHERITED } from "./inherited-fds.ts";
import { jailCommand } from "./jail/command.ts";
import { inNewPidNamespace } from "./jail/pid-namespace.ts";
import { takeUid, type UidRange } from "./jail/uids.ts";
import type { Qemu } from "./qemu.ts";

/** Carries the requests for the shared directory between the guest's memory, which stays QEMU's own, and virtiofsd. */
const VHOST_PROXY = "vhost-proxy.so";
const FORK_SERVER = "fork-server.so";
/** Has the memory that a guest touches as it boots ready before. */
const BOOT_MEMORY = "boot-memory.so";
/** Without it a template grows by what its clones touch beyond it, and QEMU would have to open its file (native/template-memory). */
const TEMPLATE_MEMORY = "template-memory.so";
/**
 * What a fork server keeps for its copies to be without: kill, setgid, setuid, setpcap, sys_admin (for namespaces), by their numbers
 * (linux/capability.h).
 */
const FORK_SERVER_CAPABILITIES = [5, 6, 7, 8, 21];

/** A QEMU process, whoever started it. */
export interface QemuChild {
  /** 0 when it could not be started, or has not been yet. */
  readonly pid: number;
  readonly stderr: Readable;
  /** Resolves, never rejects, when it is gone. */
  readonly ended: Promise<QemuEnd>;
  kill(): void;
}

export interface QemuEnd {
  exitCode?: number | undefined;
  signal?: string | undefined;
  /** Why it could not be started. */
  problem?: string | undefined;
}

/** What QEMU is started with. */
export interface QemuStart {
  qemu: Qemu;
  argv: readonly string[];
  /** The users, of which QEMU is one that no other process is. */
  users: UidRange;
  /** Files besides QEMU's own that it reads, and devices that it opens, by their absolute paths. */
  files: readonly string[];
  devices: readonly string[];
  /** How much memory it may lock, for the host's devices to reach it. */
  lockedMemoryBytes?: number | undefined;
  /** Inherited, from number 3 on. */
  descriptors: readonly number[];
  /** What native/boot-memory is told, when QEMU boots a guest in memory of its own. */
  bootMemory?: string | undefined;
  /** QEMU's number of the descriptor of guest RAM, when that is a template's. */
  templateMemory?: number | undefined;
  /** QEMU's number of the socket on which native/vhost-proxy takes connections. */
  library?: number | undefined;
}

/**
 * Starts QEMU in a jail (native/jail), without any capability, with an environment of nothing but preloaded libraries, so that it dies
 * with us, away from our terminal's signals.
 * @throws CaissonError CAISSON_E_HOST when no user is left for it.
 */
export function spawnQemu(start: QemuStart): QemuChild {
  const manner = { withParent: true, capabilities: [], libraries: [], environment: {} };
  return spawn(start, manner, inNewPidNamespace);
}

/**
 * As spawnQemu(), but QEMU is to serve forks of itself (native/fork-server), of the descriptors on `listener`: it ends with the
 * other end of `maker`, until it serves. The copies' pids are told as this process knows them, so it is in our pid namespace.
 */
export function spawnForkServer(start: QemuStart, { maker, listener }: { maker: number; listener: number }): QemuChild {
  const environment = { CAISSON_FORK_SERVER: `${maker},${listener}` };
  const manner = { withParent: false, capabilities: FORK_SERVER_CAPABILITIES, libraries: [FORK_SERVER], environment };
  return spawn(start, manner, (run) => run());
}

interface Manner {
  withParent: boolean;
  capabilities: readonly number[];
  /** Preloaded beside the usual ones. */
  libraries: readonly string[];
  environment: Readonly<Record<string, string>>;
}

function spawn(start: QemuStart, manner: Manner, within: <T>(run: () => T) => T): QemuChild {
  const { uid, release } = takeUid(start.users);
  try {
    const child = within(() => execute(start, manner, uid));
    const { pid = 0 } = child;
    const ended = child.then(({ exitCode, signal, originalMessage }) => {
      release();
      return { exitCode, signal, problem: pid === 0 ? originalMessage : undefined };
    });
    return { pid, stderr: child.stderr as Readable, ended, kill: () => void child.kill("SIGKILL") };
  } catch (error) {
    release();
    throw error;
  }
}

/** The libraries are named by descriptors: a path with a space or a colon would be split there (ld.so(8), LD_PRELOAD). */
function execute(start: QemuStart, { withParent, capabilities, libraries, environment }: Manner, uid: number) {
  const { qemu, argv, descriptors, devices, lockedMemoryBytes, bootMemory, templateMemory, library } = start;
  const hasTemplate = templateMemory !== undefined;
  const hasShare = library !== undefined;
  const preloaded = [
    ...(hasShare ? [VHOST_PROXY] : []),
    ...(bootMemory === undefined ? [] : [BOOT_MEMORY]),
    ...(hasTemplate ? [TEMPLATE_MEMORY] : []),
    ...libraries,
  ];
  const files = [...qemu.files, ...start.files];
  using ours = new DisposableStack();
  const opened = preloaded.map((name) => ours.adopt(openSync(builtFile(name), "r"), closeSync));
  const first = FIRST_INHERITED + descriptors.length;
  const count = first + opened.length;
  const jail = { uid, capabilities, files, devices, lockedMemoryBytes, descriptors: count, withParent };
  const [file, words] = jailCommand(jail, [qemu.path, ...argv]);
  return execa(file, words, {
    // execa passes any number on; its types know those up to 9 only.
    stdio: ["ignore", "ignore", "pipe", ...([...descriptors, ...opened] as readonly number[] as readonly 3[])],
    // QEMU has a session of its own: Ctrl-C at a terminal is for the container, never for QEMU.
    detached: true,
    cleanup: false,
    buffer: false,
    reject: false,
    extendEnv: false,
    env: {
      LD_PRELOAD: opened.map((_, index) => `/proc/self/fd/${first + index}`).join(":"),
      ...(hasShare && { CAISSON_VHOST_PROXY: String(library) }),
      ...(bootMemory !== undefined && { CAISSON_BOOT_MEMORY: bootMemory }),
      ...(hasTemplate && { CAISSON_TEMPLATE_MEMORY: String(templateMemory) }),
      ...environment,
    },
  });
}
