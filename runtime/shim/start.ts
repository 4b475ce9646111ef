/** What containerd asks for with `start`: that the daemon of a container's pod serves. */
import { closeSync, fstatSync, openSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Any } from "../../protocol/generated/containerd/types.ts";
import { removeStopped } from "../sandbox/cleanup.ts";
import { ENGINE, SHIM_ROOT } from "../state/paths.ts";
import { listStates } from "../state/store.ts";
import { readBounded, SMALL_FILE } from "../text/bounded-read.ts";
import { codeOf, isSystemError } from "../text/errors.ts";
import { formatStartAnswer, readStartInput } from "./bootstrap.ts";
import { answers, groupOf, stateOf } from "./find.ts";
import { parseFlags, type ShimFlags } from "./flags.ts";
import { type ShimPaths, shimPaths } from "./paths.ts";

/** How long two starts of one pod's daemon may take to agree which one is it. */
const START_LIMIT_MS = 10_000;
const RETRY_MS = 20;
const STDIN = 0;
const INPUT = { ...SMALL_FILE, pipes: true };

/** The daemon that is wanted. */
export interface ShimStart {
  /** containerd's own socket, its namespace, and the pod or container: what the paths are made of. */
  address: string;
  namespace: string;
  group: string;
  /** The container that it is started for. */
  id: string;
  paths: ShimPaths;
  /** containerd's ttrpc socket, for events; empty: there is nobody to tell. */
  ttrpcAddress: string;
  /** The bundle of the container that the daemon is started for. */
  bundle: string;
  /** The runtime's options. */
  options: Any | undefined;
  /** The file that containerd reads shims' logs from; standard error when missing. */
  log: string | undefined;
  debug: boolean;
  /** What to print once it serves. */
  answer: string;
}

/** The flags of a command line that asks for a start; undefined for all others, wrong ones among them. */
export function startFlags(args: readonly string[]): ShimFlags | undefined {
  let flags: ShimFlags;
  try {
    flags = parseFlags(args);
  } catch {
    return undefined;
  }
  const { version, info, namespace, id, action } = flags;
  return action === "start" && !version && !info && namespace !== "" && id !== "" ? flags : undefined;
}

/**
 * Reads what is asked for: this process's working directory is the bundle, its standard input is containerd's, which it has no longer then.
 * Throws as readDocument.
 */
export function readStart(flags: ShimFlags): ShimStart {
  const { id, address, namespace, debug } = flags;
  const bundle = process.cwd();
  const { version, options } = readStartInput(takeInput(), flags, process.env["MAX_SHIM_VERSION"]);
  const group = groupOf(bundle) ?? id;
  const paths = shimPaths(address, namespace, group);
  const ttrpcAddress = process.env["TTRPC_ADDRESS"] ?? "";
  // CRI-O has no address of its own, and took whatever is printed for ours up to 1.36.
  const answer = formatStartAnswer(`unix://${paths.socket}`, address === "" ? 1 : version);
  return { address, namespace, group, id, paths, ttrpcAddress, bundle, options, log: logFifo(bundle), debug, answer };
}

/** containerd 1.6 finds the daemon by it after a restart; later ones write their own. */
export function writeAddress({ bundle, paths }: ShimStart): void {
  writeFileSync(join(bundle, "address"), `unix://${paths.socket}`);
}

/**
 * Becomes the pod's daemon, unless another process is.
 * @param become throws CAISSON_E_ID_IN_USE when the pod is another's, which is just starting or dead.
 * @returns undefined when another serves. @throws CaissonError of whatever keeps this process from being one.
 */
export async function becomeDaemon<T>({ paths }: ShimStart, become: () => T): Promise<T | undefined> {
  for (const end = performance.now() + START_LIMIT_MS; ; ) {
    if (await answers(paths.socket)) return undefined;
    try {
      return become();
    } catch (error) {
      const state = codeOf(error) === "CAISSON_E_ID_IN_USE" ? stateOf(paths.key) : undefined;
      if (state === undefined || performance.now() > end) throw error;
      if (state.status === "stopped") await removeStopped(SHIM_ROOT, state);
    }
    await delay(RETRY_MS);
  }
}

/** Removes what daemons of CRI-O have left that were killed: unlike containerd it asks nobody to clean up after them. */
export async function removeAbandoned(): Promise<void> {
  const left = listStates(SHIM_ROOT, () => {}).filter(
    ({ status, annotations }) => status === "stopped" && annotations?.[ENGINE] === "",
  );
  // What cannot be removed now is tried again by the next one; it is no reason not to start.
  await Promise.all(left.map((state) => removeStopped(SHIM_ROOT, state).catch(() => {})));
}

/** What standard input holds; nothing when it is closed, or a device such as a terminal. */
function takeInput(): Uint8Array {
  try {
    return fstatSync(STDIN).isCharacterDevice() ? Buffer.alloc(0) : readBounded("/proc/self/fd/0", INPUT);
  } catch (error) {
    if (isSystemError(error)) return Buffer.alloc(0);
    throw error;
  } finally {
    closeSync(STDIN);
    // Takes its number.
    openSync("/dev/null", "r");
  }
}

/** containerd's end of the shim's log, if there is one. */
function logFifo(bundle: string): string | undefined {
  const path = join(bundle, "log");
  return statSync(path, { throwIfNoEntry: false })?.isFIFO() ? path : undefined;
}
