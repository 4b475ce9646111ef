import { closeSync, openSync } from "node:fs";
import type { Readable } from "node:stream";
import { execa } from "execa";
import { builtFile } from "../../native/addon.ts";
import { FIRST_INHERITED } from "./inheritance.ts";

/** Carries the requests for the shared directory between the guest's memory, which stays QEMU's own, and virtiofsd. */
const VHOST_PROXY = "vhost-proxy.so";
const FORK_SERVER = "fork-server.so";
/** Without it a template grows by what its clones touch beyond it (native/template-memory). */
const TEMPLATE_MEMORY = "template-memory.so";

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
  path: string;
  argv: readonly string[];
  /** Inherited, from number 3 on. */
  descriptors: readonly number[];
  /** QEMU's number of the descriptor of a template's memory, when it is a clone. */
  templateMemory?: number | undefined;
  /** QEMU's number of the socket on which native/vhost-proxy takes connections. */
  library?: number | undefined;
}

/**
 * Starts QEMU so that it dies with us (prctl(2), PR_SET_PDEATHSIG: setpriv(1) sets it and becomes QEMU), away from our
 * terminal's signals, with an environment of nothing but PATH and preloaded libraries. Its network is ours.
 */
export function spawnQemu(start: QemuStart): QemuChild {
  return watch(spawn(["--pdeathsig", "KILL", ...confined(start)], start));
}

/**
 * As spawnQemu(), but QEMU is to serve forks of itself (native/fork-server), of the descriptors on `listener`: it ends with the
 * other end of `maker`, until it serves.
 */
export function spawnForkServer(start: QemuStart, { maker, listener }: { maker: number; listener: number }): QemuChild {
  return watch(spawn(confined(start), start, [FORK_SERVER], { CAISSON_FORK_SERVER: `${maker},${listener}` }));
}

function watch(child: ReturnType<typeof spawn>): QemuChild {
  const { pid = 0 } = child;
  return {
    pid,
    stderr: child.stderr as Readable,
    ended: child.then(({ exitCode, signal, originalMessage }) => ({
      exitCode,
      signal,
      problem: pid === 0 ? originalMessage : undefined,
    })),
    kill: () => void child.kill("SIGKILL"),
  };
}

function confined({ path, argv }: QemuStart): string[] {
  return ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--", path, ...argv];
}

/** The libraries are named by descriptors: a path with a space or a colon would be split there (ld.so(8), LD_PRELOAD). */
function spawn(
  words: readonly string[],
  { descriptors, templateMemory, library }: QemuStart,
  preloaded: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
) {
  const isClone = templateMemory !== undefined;
  const hasProxy = library !== undefined;
  const names = [...(hasProxy ? [VHOST_PROXY] : []), ...(isClone ? [TEMPLATE_MEMORY] : []), ...preloaded];
  using libraries = new DisposableStack();
  const opened = names.map((name) => libraries.adopt(openSync(builtFile(name), "r"), closeSync));
  const first = FIRST_INHERITED + descriptors.length;
  return execa("setpriv", words, {
    // execa passes any number on; its types know those up to 9 only.
    stdio: ["ignore", "ignore", "pipe", ...([...descriptors, ...opened] as readonly number[] as readonly 3[])],
    // Its own session: Ctrl-C at a terminal is for the container, never for QEMU.
    detached: true,
    cleanup: false,
    buffer: false,
    reject: false,
    extendEnv: false,
    env: {
      PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
      LD_PRELOAD: opened.map((_, index) => `/proc/self/fd/${first + index}`).join(":"),
      ...(hasProxy && { CAISSON_VHOST_PROXY: String(library) }),
      ...(isClone && { CAISSON_TEMPLATE_MEMORY: String(templateMemory) }),
      ...environment,
    },
  });
}
