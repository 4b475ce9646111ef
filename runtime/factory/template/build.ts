import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CaissonError } from "../../../protocol/errors.ts";
import { deadline } from "../../process/deadline.ts";
import { diedError } from "../../vm/exit-reason.ts";
import { idle } from "../../vm/idle.ts";
import type { Machine } from "../../vm/machine.ts";
import { reopen } from "../../vm/open.ts";
import type { QemuVersion } from "../../vm/qemu.ts";
import { giveStateFile } from "../../vm/saved-state.ts";
import type { Trace, VmSpec } from "../../vm/spec.ts";
import { bootMachine } from "../boot/boot.ts";
import { templateInputs, templateKey } from "./key.ts";
import { type Manifest, seal } from "./manifest.ts";
import { ScratchTaps } from "./scratch-taps.ts";
import { MANIFEST_FILE, MEMORY_FILE, STATE_FILE } from "./template.ts";

/**
 * Talks to the booted guest's agent until it is as a clone should find it, and ends its own use of `machine.agent`.
 * @param folder empty, for whatever it needs meanwhile.
 */
export type Warm = (machine: Machine, signal: AbortSignal, folder: string) => Promise<void>;

export interface BuildOptions {
  signal: AbortSignal;
  /** How long one boot, with its warming, may take. */
  limitMs: number;
  trace?: Trace | undefined;
}

/** A connection that ends is a moment ahead of the VM that ended it. */
const DEATH_FOLLOWS_MS = 250;
const MIGRATION_LIMIT_MS = 30_000;
/**
 * Boots a VM with its RAM in a file of `folder`, which must be empty, has it warmed, and saves it there as a template.
 * @returns the key it goes by.
 * @throws CAISSON_E_TEMPLATE when it cannot be saved; what bootMachine() and `warm` throw. The folder is the caller's to
 *   remove.
 */
export async function buildTemplate(folder: string, spec: VmSpec, warm: Warm, options: BuildOptions): Promise<string> {
  const descriptors: number[] = [];
  const open = (path: string, flags: string): number => {
    const fd = openSync(path, flags, 0o600);
    descriptors.push(fd);
    return fd;
  };
  const scratch = join(folder, "warm-up");
  mkdirSync(scratch, { mode: 0o700 });
  try {
    const imageFd = open(spec.image, "r");
    const inputs = templateInputs(spec, imageFd);
    const memoryFd = open(join(folder, MEMORY_FILE), "wx+");
    const stateFd = open(join(folder, STATE_FILE), "wx+");
    using taps = new ScratchTaps(spec.networks.length);
    const source = { ...spec, networks: taps.devices, consoleLog: join(folder, "console.log") };
    const warmUp = (booted: Machine, limit: AbortSignal) => warm(booted, limit, scratch);
    const { machine } = await bootMachine(source, warmUp, { ...options, templateMemoryFd: memoryFd });
    try {
      options.trace?.("template warm");
      machine.agent.destroy();
      await settleAndSave(machine, spec.qemu.version, stateFd, options.signal);
    } finally {
      await machine.kill();
    }
    options.trace?.("template saved");
    const key = templateKey(spec, inputs);
    if (templateKey(spec, templateInputs(spec, imageFd)) !== key) {
      throw new CaissonError("CAISSON_E_TEMPLATE", "cannot build the template: its files were replaced meanwhile", {
        remedy: "Run it again once the installation has finished.",
      });
    }
    rmSync(scratch, { recursive: true });
    const { machine: type, accelerator, transport, memoryMib, vcpus } = spec;
    const shape = { machine: type, accelerator, transport, memoryMib, vcpus, networks: spec.networks.length };
    const manifest: Manifest = { key, inputs, ...shape, memory: await seal(memoryFd), state: await seal(stateFd) };
    writeFileSync(join(folder, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`, { mode: 0o600 });
    return key;
  } finally {
    for (const fd of descriptors) closeSync(fd);
  }
}

/** @throws CAISSON_E_VM_DIED when that is why it failed; else CAISSON_E_TEMPLATE or the signal's reason. */
async function settleAndSave(
  machine: Machine,
  version: QemuVersion,
  stateFd: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    await idle(machine.pid, signal);
    await save(machine, version, stateFd, signal);
  } catch (error) {
    signal.throwIfAborted();
    const death = await deadline(machine.died, DEATH_FOLLOWS_MS);
    if (death !== undefined) throw diedError("cannot save the template", death);
    if (error instanceof CaissonError) throw error;
    throw new CaissonError("CAISSON_E_TEMPLATE", `cannot save the template: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Writes the device state. The VM is saved while it runs, so a clone runs as soon as it is loaded; it then stays stopped. */
async function save(machine: Machine, version: QemuVersion, stateFd: number, signal: AbortSignal): Promise<void> {
  const { qmp } = machine;
  const capabilities = ["x-ignore-shared", "events"].map((capability) => ({ capability, state: true }));
  await qmp.execute("migrate-set-capabilities", { capabilities }, { signal });
  const fd = reopen(stateFd, "w");
  const uri = await giveStateFile(qmp, version, fd, { signal }).finally(() => closeSync(fd));
  const finished = migrationEnd(machine, AbortSignal.any([signal, AbortSignal.timeout(MIGRATION_LIMIT_MS)]));
  finished.catch(() => {});
  await qmp.execute("migrate", { uri }, { signal });
  await finished;
}

/** @throws CAISSON_E_TEMPLATE when QEMU could not, or the signal's reason. */
async function migrationEnd(machine: Machine, signal: AbortSignal): Promise<void> {
  const ended = machine.qmp.nextEvent(({ name, data }) => {
    const status = data["status"];
    return name === "MIGRATION" && (status === "completed" || status === "failed");
  }, signal);
  const event = await ended;
  if (event.data["status"] === "completed") return;
  const answer = (await machine.qmp.execute("query-migrate")) as { "error-desc"?: unknown } | null;
  const why = answer?.["error-desc"] ?? "QEMU does not say why";
  throw new CaissonError("CAISSON_E_TEMPLATE", `cannot save the template: saving the device state failed: ${why}`);
}
