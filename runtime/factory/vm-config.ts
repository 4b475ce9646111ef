import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import type { Settings } from "../config/settings.ts";
import { memoryCeiling, mostVcpus, type SandboxSize } from "../config/size.ts";
import { findVirtiofsd, type Virtiofsd } from "../storage/virtiofsd/find.ts";
import { formatError, systemErrorSentence } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { type AcceleratorChoice, chooseAccelerator } from "../vm/accelerator.ts";
import { translatesAtOnce } from "../vm/board.ts";
import type { UidRange } from "../vm/jail/uids.ts";
import { findQemu } from "../vm/qemu.ts";
import type { Accelerator, MachineType, PciFunction, Transport, VmSpec } from "../vm/spec.ts";
import { tscKhz } from "../vm/tsc.ts";
import { vsockProblem } from "../vm/vsock.ts";
import { defaultTemplateDirectory, makePrivateFolder } from "./template/space.ts";
import { TemplateStore } from "./template/store.ts";

/** What does not depend on one sandbox: the host's abilities matched with the settings. */
export type VmShape = Omit<VmSpec, "consoleLog">;

/** What this machine has: the most that a sandbox can be given. */
export function hostSize(): SandboxSize {
  return { memoryMib: Math.floor(totalmem() / (1024 * 1024)), vcpus: availableParallelism() };
}

/** Where templates are kept. */
export function templateDirectory({ templateDir }: Pick<Settings, "templateDir">): string {
  return templateDir ?? defaultTemplateDirectory();
}

/** Facts about the host that are found out once a boot and then remembered; beside the templates. */
export function factsDirectory(settings: Settings): string {
  return join(dirname(templateDirectory(settings)), "host");
}

/** The same, ready to be used; undefined where it cannot be made, or others can write to it: the facts are found out again. */
export function usableFacts(settings: Settings): string | undefined {
  const directory = factsDirectory(settings);
  try {
    makePrivateFolder(directory);
    return directory;
  } catch (error) {
    if (!isUnusable(error)) throw error;
    log.debug(`what is found out about the host is not kept: ${formatError(error)}`);
    return undefined;
  }
}

/**
 * Matches the settings with what this host can do.
 * @param passed functions of the host's that the VM is given.
 * @throws CaissonError CAISSON_E_HOST, _ACCELERATOR, _TRANSPORT or _IMAGE when what was asked for cannot be had.
 */
export async function chooseVm(
  settings: Settings,
  size: SandboxSize,
  signal: AbortSignal,
  passed: readonly PciFunction[] = [],
): Promise<VmShape> {
  const facts = usableFacts(settings);
  const qemu = await findQemu(facts, settings.qemu);
  const { kernel, initrd, image } = settings;
  for (const [name, path] of Object.entries({ kernel, initrd, image })) requireReadable(`guest ${name}`, path);
  for (const [name, path] of Object.entries({ kernel, initrd })) requireReadableByAll(`guest ${name}`, path);
  const users = qemuUsers(settings);
  const choice = await chooseAccelerator(settings.accelerator, { directory: facts, qemu, kernel, users, signal });
  tellOfEmulation(choice);
  const host = hostSize();
  const inTurn = choice.accelerator === "tcg" && !translatesAtOnce(qemu.version);
  return {
    qemu,
    machine: machineFor(settings, passed),
    accelerator: choice.accelerator,
    memoryMib: size.memoryMib,
    // All that it may come to have would be pinned from the start.
    ceilingMib: promisesAllMemory() || passed.length > 0 ? size.memoryMib : memoryCeiling(size, settings, host),
    vcpus: size.vcpus,
    mostVcpus: mostVcpus(size, settings, host, inTurn),
    kernel,
    initrd,
    image,
    kernelParams: settings.kernelParams,
    transport: chooseTransport(settings.transport, choice.accelerator),
    ...(choice.accelerator === "tcg" ? { tscKhz: await tscKhz(facts) } : {}),
    networks: [],
    passed,
    users,
  };
}

/** @throws CaissonError CAISSON_E_SETTINGS when the settings insist on a machine without PCI for functions of it. */
export function machineFor({ machine }: Pick<Settings, "machine">, passed: readonly PciFunction[]): MachineType {
  if (passed.length === 0) return machine === "auto" ? "microvm" : machine;
  if (machine !== "microvm") return "q35";
  const what = `the PCI function ${passed[0]?.address} cannot be passed to a VM of the machine "microvm", which has no PCI`;
  throw new CaissonError("CAISSON_E_SETTINGS", what, {
    field: "machine",
    remedy: 'Set machine to "auto" or "q35".',
  });
}

/** Whether the host's kernel counts what is mapped, and not only what is used (vm.overcommit_memory 2): room to grow would be used up by each VM. */
function promisesAllMemory(): boolean {
  try {
    return readFileSync("/proc/sys/vm/overcommit_memory", "latin1").trim() === "2";
  } catch {
    return false;
  }
}

/** The users that these settings give QEMUs. */
export function qemuUsers({ qemuUidFirst, qemuUidCount }: Settings): UidRange {
  return { first: qemuUidFirst, count: qemuUidCount };
}

/** What serves files to the VM on this host. @throws CaissonError CAISSON_E_HOST when there is nothing that can. */
export async function chooseVirtiofsd(settings: Settings): Promise<Virtiofsd> {
  return await findVirtiofsd(usableFacts(settings), settings.virtiofsd);
}

function requireReadable(what: string, path: string): void {
  try {
    accessSync(path, constants.R_OK);
    // Opening a FIFO would wait for its writer.
    if (!statSync(path).isFile()) throw new Error("it is not a regular file");
  } catch (cause) {
    throw new CaissonError("CAISSON_E_IMAGE", systemErrorSentence(`read the ${what} ${path}`, cause), {
      cause,
      remedy: "Build or install the guest image, or correct the settings.",
    });
  }
}

/** QEMU, which is no user that anybody knows, reads it. */
function requireReadableByAll(what: string, path: string): void {
  if ((statSync(path).mode & 0o004) !== 0) return;
  throw new CaissonError("CAISSON_E_IMAGE", `cannot start a VM: the ${what} ${path} is not readable by all users`, {
    remedy: `Run chmod a+r ${path}: QEMU runs as a user of its own.`,
  });
}

function tellOfEmulation({ reason }: AcceleratorChoice): void {
  if (reason !== undefined) log.info(reason);
}

/** vsock where the host's kernel has it, else virtio-serial, which needs nothing of the host; nor does what is to be forked. */
export function chooseTransport(wanted: Transport | "auto", accelerator: Accelerator): Transport {
  if (wanted === "virtio-serial" || (wanted === "auto" && accelerator === "tcg")) return "virtio-serial";
  const problem = vsockProblem();
  if (problem === undefined) return "vsock";
  if (wanted === "auto") return "virtio-serial";
  throw new CaissonError("CAISSON_E_TRANSPORT", `cannot use the transport "vsock": ${problem.why}`, {
    field: "transport",
    remedy: problem.remedy,
  });
}

/** The templates for a sandbox; undefined when there are to be none, or their folder cannot be used, which the log tells. */
export function sandboxTemplates(settings: Settings): TemplateStore | undefined {
  if (settings.template !== "on") return undefined;
  try {
    return templateStore(settings);
  } catch (error) {
    if (!isUnusable(error)) throw error;
    log.warning(`the sandbox boots, since there can be no template for it: ${formatError(error)}`);
    return undefined;
  }
}

function isUnusable(error: unknown): boolean {
  return error instanceof CaissonError && error.code === "CAISSON_E_TEMPLATE";
}

/** The templates that these settings name. Throws CAISSON_E_TEMPLATE when their folder cannot be used. */
export function templateStore(settings: Settings): TemplateStore {
  return new TemplateStore(templateDirectory(settings));
}
