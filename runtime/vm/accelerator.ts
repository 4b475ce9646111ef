import { accessSync, constants, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { MICROVM_FIRMWARE } from "./board.ts";
import { bootId, factFile, recall, remember } from "./host-cache.ts";
import { InheritedFds } from "./inherited-fds.ts";
import type { UidRange } from "./jail/uids.ts";
import { fileIdentity, type Qemu } from "./qemu.ts";
import { QemuProcess } from "./qemu-process.ts";
import type { Accelerator } from "./spec.ts";

const KVM = "/dev/kvm";
/** KVM that works reaches the panic in well under a second, on a busy nested host in a few. */
const PROBE_LIMIT_MS = 5_000;
/** With an early console it prints at once, or never. */
const SILENCE_LIMIT_MS = 2_000;
/** What a kernel says that booted all the way, and was given nothing to run. */
const BOOTED = "Kernel panic - not syncing: VFS: Unable to mount root fs";

export interface AcceleratorChoice {
  accelerator: Accelerator;
  /** Why not KVM, as a sentence for the log and for `check`; absent with KVM. */
  reason?: string;
}

/** The verdict on KVM: usable, or why it is not, as the end of a sentence. */
export type KvmVerdict = { usable: true } | { usable: false; why: string };

export interface ProbeOptions {
  /** Where the verdict is kept: it holds for this boot of the host, this kernel and this QEMU. */
  directory: string | undefined;
  qemu: Qemu;
  kernel: string;
  users: UidRange;
  signal: AbortSignal;
}

/**
 * Decides what runs the guest. "auto" takes KVM if a kernel boots under it, else emulation; a named one is taken at its
 * word, but KVM must be there.
 * @throws CAISSON_E_ACCELERATOR when "kvm" is asked for and does not work; the signal's reason.
 */
export async function chooseAccelerator(
  wanted: Accelerator | "auto",
  options: ProbeOptions,
): Promise<AcceleratorChoice> {
  if (wanted === "tcg") return { accelerator: "tcg", reason: "Emulation was asked for." };
  const verdict = await judgeKvm(options);
  if (verdict.usable) return { accelerator: "kvm" };
  if (wanted === "auto") {
    return { accelerator: "tcg", reason: `KVM cannot be used, so guests are emulated and slow: ${verdict.why}.` };
  }
  throw new CaissonError("CAISSON_E_ACCELERATOR", `cannot use the accelerator "kvm": ${verdict.why}`, {
    field: "accelerator",
    remedy: 'Set accelerator = "auto" to emulate where KVM does not work, or enable virtualisation on this host.',
  });
}

/** Boots a kernel under KVM unless that was done before; /dev/kvm that opens is not KVM that works (nested hosts). */
export async function judgeKvm(options: ProbeOptions): Promise<KvmVerdict> {
  const { directory, qemu, kernel } = options;
  const missing = kvmMissing();
  if (missing !== undefined) return { usable: false, why: missing };
  const { file, key } = verdictPlace(directory, qemu, kernel);
  const known = recall(file, key, toVerdict);
  if (known !== undefined) return known;
  const verdict = await probe(options);
  remember(file, key, verdict);
  return verdict;
}

/** Where a verdict is remembered, and as what: one file each, so that two kernels in use do not make each other forgotten. */
export function verdictPlace(
  directory: string | undefined,
  qemu: Qemu,
  kernel: string,
): { file: string | undefined; key: string } {
  const key = [bootId(), fileIdentity(qemu.path), fileIdentity(kernel)].join(" ");
  const files = [qemu.path, kernel].map((path) => statSync(path).ino);
  return { file: factFile(directory, `kvm-${files.join("-")}.json`), key };
}

function kvmMissing(): string | undefined {
  try {
    accessSync(KVM, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? `${KVM} does not exist` : `${KVM} cannot be opened: ${code}`;
  }
}

async function probe({ qemu, kernel, users, signal }: ProbeOptions): Promise<KvmVerdict> {
  const { spawnQemu } = await import("./spawn.ts");
  signal.throwIfAborted();
  const folder = mkdtempSync(join(tmpdir(), "caisson-probe-"));
  const inheritance = new InheritedFds();
  let machine: QemuProcess | undefined;
  const giveUp = () => void machine?.kill();
  const silence = setTimeout(() => machine?.lastConsoleLines().length === 0 && giveUp(), SILENCE_LIMIT_MS);
  const limit = setTimeout(giveUp, PROBE_LIMIT_MS);
  try {
    const monitor = inheritance.connect();
    const console = inheritance.connect();
    const argv = probeArguments(kernel, monitor.child, console.child);
    const connections = { qmpFd: monitor.ours, consoleFd: console.ours, consoleLog: join(folder, "console.log") };
    machine = new QemuProcess(connections, () =>
      spawnQemu({ qemu, argv, users, files: [kernel], devices: [KVM], descriptors: inheritance.descriptors }),
    );
    inheritance.closeGiven();
    signal.addEventListener("abort", giveUp);
    machine.qmp.execute("qmp_capabilities").catch(() => {});
    const death = await machine.died;
    signal.throwIfAborted();
    if (death.reason === "guest-panic" && death.description.includes(BOOTED)) return { usable: true };
    const { qemuMessage, consoleLines } = death;
    if (death.reason === "qemu-exit" && qemuMessage !== "")
      return { usable: false, why: `QEMU refused: ${qemuMessage}` };
    if (death.reason !== "killed") return { usable: false, why: `a kernel booted under it ${death.description}` };
    const last = consoleLines.at(-1);
    const reached = last === undefined ? "without printing a line" : `after "${last}"`;
    return { usable: false, why: `a kernel booted under it hung ${reached}` };
  } finally {
    clearTimeout(silence);
    clearTimeout(limit);
    signal.removeEventListener("abort", giveUp);
    inheritance.closeGiven();
    await machine?.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The command line with as little as a kernel boots with: it runs into the panic of having no root, and that is the proof. */
function probeArguments(kernel: string, qmpFd: number, consoleFd: number): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "microvm,acpi=on"],
    ...MICROVM_FIRMWARE,
    ...["-accel", "kvm", "-cpu", "host", "-m", "256M", "-kernel", kernel],
    ...["-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1 reboot=t"],
    ...["-chardev", `socket,id=qmp,fd=${qmpFd}`, "-mon", "chardev=qmp,mode=control"],
    ...["-chardev", `socket,id=console,fd=${consoleFd}`, "-serial", "chardev:console"],
  ];
}

function toVerdict(value: unknown): KvmVerdict | undefined {
  const { usable, why } = (value ?? {}) as { usable?: unknown; why?: unknown };
  if (usable === true) return { usable };
  return usable === false && typeof why === "string" ? { usable, why } : undefined;
}
