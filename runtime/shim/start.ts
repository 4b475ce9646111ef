import { once } from "node:events";
import { statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import { Any } from "../../protocol/generated/containerd/types.ts";
import { readDocument } from "../oci/document.ts";
import { spawnSelf } from "../process/spawn-self.ts";
import { removeStopped } from "../sandbox/cleanup.ts";
import { podOf } from "../sandbox/spec/cri-annotations.ts";
import { ENGINE, SHIM_ROOT } from "../state/paths.ts";
import type { StateRecord } from "../state/record.ts";
import { listStates, readFormerState, readState } from "../state/store.ts";
import { formatStartAnswer, readStartInput } from "./bootstrap.ts";
import type { ShimDaemonParams } from "./daemon.ts";
import type { ShimFlags } from "./flags.ts";
import { shimPaths } from "./paths.ts";

/** How long two starts of one pod's daemon may take to agree which one is it. */
const START_LIMIT_MS = 10_000;
const RETRY_MS = 20;
/** How long a daemon may take to say that it serves, on a busy machine. */
const READY_LIMIT_MS = 60_000;

/**
 * Makes sure that the pod's daemon serves.
 * @param input standard input, as containerd writes it.
 * @returns what to print: where the daemon serves.
 */
export async function start(flags: ShimFlags, input: Uint8Array): Promise<string> {
  const bundle = process.cwd();
  const { version, options: given } = readStartInput(input, flags, process.env["MAX_SHIM_VERSION"]);
  const group = groupOf(bundle) ?? flags.id;
  const { address, namespace, debug } = flags;
  const paths = shimPaths(address, namespace, group);
  const ttrpcAddress = process.env["TTRPC_ADDRESS"] ?? "";
  const options = given === undefined ? "" : Buffer.from(Any.encode(given).finish()).toString("base64");
  const params = { address, namespace, group, ttrpcAddress, bundle, options, log: logFifo(bundle), debug };
  if (address === "") await removeAbandoned();
  await ensureDaemon(paths.socket, paths.key, params);
  const socket = `unix://${paths.socket}`;
  // containerd 1.6 finds the daemon by it after a restart; later ones write their own.
  writeFileSync(join(bundle, "address"), socket);
  // CRI-O has no address of its own, and took whatever is printed for ours up to 1.36.
  return formatStartAnswer(socket, address === "" ? 1 : version);
}

/** The pod that the bundle's container is in; a sandbox's bundle has no configuration. Throws as readDocument. */
export function groupOf(bundle: string): string | undefined {
  const path = join(bundle, "config.json");
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const document = readDocument(path, "CAISSON_E_BUNDLE");
  const annotations = (document as { annotations?: unknown } | null)?.annotations;
  if (typeof annotations !== "object" || annotations === null) return undefined;
  return podOf(annotations as Record<string, string>);
}

/** What daemons of CRI-O have left that were killed: unlike containerd it asks nobody to clean up after them. */
async function removeAbandoned(): Promise<void> {
  const left = listStates(SHIM_ROOT, () => {}).filter(
    ({ status, annotations }) => status === "stopped" && annotations?.[ENGINE] === "",
  );
  // What cannot be removed now is tried again by the next one; it is no reason not to start.
  await Promise.all(left.map((state) => removeStopped(SHIM_ROOT, state).catch(() => {})));
}

async function ensureDaemon(socket: string, key: string, params: ShimDaemonParams): Promise<void> {
  const end = performance.now() + START_LIMIT_MS;
  while (!(await answers(socket))) {
    const answer = await spawnDaemon(params);
    if (answer === "ready") return;
    // The pod is another daemon's, which is just starting or dead.
    const state = stateOf(key);
    if (state === undefined || performance.now() > end) {
      throw new CaissonError("CAISSON_E_HOST", `the pod's daemon could not be started: ${answer}`);
    }
    if (state.status === "stopped") await removeStopped(SHIM_ROOT, state);
    await delay(RETRY_MS);
  }
}

/** The record of a pod's daemon, or as much as is left of a damaged one; undefined when there is none. */
export function stateOf(key: string): StateRecord | undefined {
  try {
    return readState(SHIM_ROOT, key);
  } catch {
    return readFormerState(SHIM_ROOT, key);
  }
}

/** Whether a daemon serves there. */
export async function answers(socket: string): Promise<boolean> {
  const connection = connect(socket);
  try {
    await once(connection, "connect");
    return true;
  } catch {
    return false;
  } finally {
    connection.destroy();
  }
}

/** @returns "ready", or why not. */
async function spawnDaemon(params: ShimDaemonParams): Promise<string> {
  const daemon = spawnSelf("shim-daemon", params, "ignore");
  daemon.unref();
  // A daemon serves before it starts a VM.
  const limit = setTimeout(() => daemon.kill(), READY_LIMIT_MS);
  try {
    const answer = (await text(daemon.connection)).trim();
    return answer === "" ? "it has ended without a word, or took too long" : answer;
  } finally {
    clearTimeout(limit);
  }
}

/** containerd's end of the shim's log, if there is one. */
function logFifo(bundle: string): string | undefined {
  const path = join(bundle, "log");
  return statSync(path, { throwIfNoEntry: false })?.isFIFO() ? path : undefined;
}
