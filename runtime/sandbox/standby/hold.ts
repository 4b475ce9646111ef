/** The process that holds a VM which stands by: a clone that has run a container before, so that all it needs is at hand. */
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, renameSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { builtFile } from "../../../native/addon.ts";
import type { Settings } from "../../config.ts";
import { formatError } from "../../errors.ts";
import { log } from "../../log.ts";
import { networkProblem } from "../../network/abilities.ts";
import { enterNetworkNamespace } from "../../network/namespace.ts";
import { VmTaps } from "../../network/vm-taps.ts";
import { enterPrivateMountNamespace } from "../../storage/mount-namespace.ts";
import { Share } from "../../storage/share.ts";
import { rest } from "../../vm/rest.ts";
import { type StandbyMachine, startStandby } from "../../vm/standby.ts";
import { HostCgroup } from "../cgroup.ts";
import { chooseVm, templateStore } from "../vm-choice.ts";
import { REHEARSED, rehearse, WARM_LIMIT_FACTOR, warm } from "../warm.ts";
import { makeOffer } from "./offer.ts";
import { rehearsalPlace, removeSocket, StandbyPlaces, sharePlace } from "./places.ts";
import { READY, STANDBY_CGROUP, type StandbyParams } from "./spawn.ts";

const STARTER_FD = 3;
/** Each over a connection of its own, as the sandbox's will be. */
const REHEARSALS = 2;
/** A VM that nobody wants for so long ends: memory is for those who use it. */
const IDLE_LIMIT_MS = 10 * 60 * 1000;
/** How often its holder looks whether the VM is still wanted. */
const LOOK_MS = 15_000;

/** Makes a VM stand by until somebody takes it over, or nobody has for long; ends this process. */
export async function holdStandby(params: StandbyParams): Promise<never> {
  enterPrivateMountNamespace();
  log.level = "error";
  const starter = new Socket({ fd: STARTER_FD });
  starter.on("error", () => {});
  let said = "";
  try {
    await hold(params, () => void starter.end(READY));
  } catch (error) {
    said = formatError(error);
  }
  const cgroup = new HostCgroup(STANDBY_CGROUP);
  cgroup.leave();
  cgroup.remove();
  if (said !== "") await new Promise<void>((resolve) => starter.end(said, () => resolve()));
  process.exit(said === "" ? 0 : 1);
}

async function hold({ settings, size, count }: StandbyParams, ready: () => void): Promise<void> {
  const limitMs = settings.bootTimeoutSeconds * 1000 * WARM_LIMIT_FACTOR;
  const signal = AbortSignal.timeout(limitMs);
  enterNetworkNamespace(undefined);
  const taps = new VmTaps();
  if (networkProblem() === undefined) taps.add(false);
  const shape = await chooseVm(settings, size, signal);
  const templates = templateStore(settings);
  const spec = { ...shape, networks: taps.devices, shareDirectory: sharePlace(settings), consoleLog: "" };
  const key = templates.keyOf(spec);
  const places = new StandbyPlaces(settings, key);
  places.make();
  if (places.takeSlot(count) === undefined) return ready();
  const files = places.ownFiles(process.pid);
  mkdirSync(spec.shareDirectory, { recursive: true, mode: 0o700 });
  const share = new Share(spec.shareDirectory);
  const lent = share.lend();
  let machine: StandbyMachine | undefined;
  try {
    const vm = { ...spec, consoleLog: files.console };
    using clone = await templates.prepare(vm, warm, { signal, limitMs });
    machine = await startStandby(vm, { signal, clone }, files.agent);
    taps.release();
    await warm(machine, signal, 1);
    for (let round = 0; round < REHEARSALS; round++) {
      await rehearse(await machine.reconnect(signal), share, rehearsalRoot(settings), signal);
    }
    await rest(machine.pid, signal);
    const { died } = machine;
    const given = machine;
    const namespace = openSync("/proc/thread-self/ns/net", "r");
    const network = { namespace, taps: taps.links };
    const unwanted = whenUnwanted(() => templates.has(key) && existsSync(files.socket), died);
    const offer = () => ({ pid: process.pid, machine: given.handOver(), share: lent, network });
    const offered = makeOffer(files.socket, offer, unwanted);
    ready();
    if (await offered) machine = undefined;
    closeSync(namespace);
  } finally {
    rmSync(files.console, { force: true });
    if (machine !== undefined) {
      await machine.kill();
      removeSocket(files.socket);
    }
  }
}

/** A root file system with one static program in it. */
function rehearsalRoot(settings: Settings): string {
  const root = rehearsalPlace(settings);
  mkdirSync(root, { recursive: true, mode: 0o755 });
  const program = join(root, REHEARSED);
  if (existsSync(program)) return root;
  const own = `${program}.${process.pid}`;
  copyFileSync(builtFile("leash"), own);
  renameSync(own, program);
  return root;
}

/** Aborts when the VM has died, its template or its offer has been removed, or nobody has come for long. */
function whenUnwanted(isWanted: () => boolean, died: Promise<unknown>): AbortSignal {
  const unwanted = new AbortController();
  const since = performance.now();
  const look = setInterval(() => {
    if (performance.now() - since > IDLE_LIMIT_MS || !isWanted()) unwanted.abort();
  }, LOOK_MS);
  void died.then(() => unwanted.abort());
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => unwanted.abort());
  unwanted.signal.addEventListener("abort", () => clearInterval(look));
  return unwanted.signal;
}
