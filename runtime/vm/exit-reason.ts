import { CaissonError } from "../../protocol/errors.ts";

/**
 * Why a VM is no more. `killed`: by us, as asked. `guest-panic`, `guest-reset`, `guest-shutdown`: by its own kernel.
 * `vm-error`: QEMU refused it, or stopped it for good (KVM's internal error, say). `qemu-exit`: QEMU ended by itself or was killed.
 */
export type DeathReason = "killed" | "guest-panic" | "guest-reset" | "guest-shutdown" | "vm-error" | "qemu-exit";

export interface ExitReason {
  reason: DeathReason;
  /** How it came about, as the end of a sentence that begins with "the VM": "was killed". */
  description: string;
  /** The console's last lines, printable; possibly none. */
  consoleLines: readonly string[];
  /** What QEMU itself complained about last; possibly "". */
  qemuMessage: string;
}

/** What is known about a QEMU process that has ended. */
export interface DeathFacts {
  killed: boolean;
  /** The last of QEMU's own account: SHUTDOWN's reason, GUEST_PANICKED, the state it stopped in. */
  shutdownReason?: string | undefined;
  panicked: boolean;
  stoppedIn?: string | undefined;
  /** Why we ended QEMU: what it refused to be set up with, or that it could not be started. */
  failure?: string | undefined;
  exitCode?: number | undefined;
  exitSignal?: string | undefined;
  /** The kernel's own line about its panic, as its console has it. */
  panicLine?: string | undefined;
  consoleLines: readonly string[];
  qemuMessage: string;
}

/** The cause behind the facts; a guest's own end is one only when nothing else explains it. */
export function explainDeath(facts: DeathFacts): ExitReason {
  const { consoleLines, qemuMessage } = facts;
  const death = (reason: DeathReason, description: string): ExitReason => ({
    reason,
    description,
    consoleLines,
    qemuMessage,
  });
  if (facts.killed) return death("killed", "was ended by Caisson");
  if (facts.failure !== undefined) return death("vm-error", `was given up: ${facts.failure}`);
  // A panic restarts the guest at once (panic=-1), which reaches us as a reset.
  if (facts.panicked || (facts.panicLine !== undefined && facts.shutdownReason === "guest-reset")) {
    return death("guest-panic", `ended because its kernel panicked: "${facts.panicLine ?? "no message"}"`);
  }
  if (facts.stoppedIn !== undefined) return death("vm-error", `was stopped by QEMU in the state "${facts.stoppedIn}"`);
  if (facts.exitSignal !== undefined) return death("qemu-exit", `ended because QEMU was killed by ${facts.exitSignal}`);
  if (facts.exitCode !== 0) return death("qemu-exit", `ended because QEMU failed with status ${facts.exitCode}`);
  if (facts.shutdownReason === "guest-reset") return death("guest-reset", "ended because the guest restarted itself");
  if (facts.shutdownReason === "guest-shutdown") return death("guest-shutdown", "ended because the guest shut down");
  return death("qemu-exit", "ended because QEMU exited");
}

/** The error for a VM that ended when it should not have: CAISSON_E_VM_DIED. */
export function diedError(doing: string, death: ExitReason): CaissonError {
  return new CaissonError("CAISSON_E_VM_DIED", `${doing}: the VM ${death.description}.${evidence(death)}`);
}

/** What a VM can still tell when its agent does not answer. */
interface Witness {
  lastConsoleLines(): readonly string[];
  readonly shareWarning: string | undefined;
}

/** @returns the error of a call that was not answered in time (CAISSON_E_TIMEOUT), with what is known of why; another one as it is. */
export function unanswered(error: unknown, vm: Witness | undefined): unknown {
  if (vm === undefined || !(error instanceof CaissonError) || error.code !== "CAISSON_E_TIMEOUT") return error;
  const share = vm.shareWarning === undefined ? "" : ` Its shared directory: ${vm.shareWarning}.`;
  const known = evidence({ consoleLines: vm.lastConsoleLines(), qemuMessage: "" });
  return new CaissonError(error.code, `${error.message}.${share}${known}`, { cause: error });
}

/** The error for a VM that ended before it was ready: CAISSON_E_VM_START. */
export function startError(death: ExitReason): CaissonError {
  return new CaissonError(
    "CAISSON_E_VM_START",
    `cannot start the VM: it ${death.description} before its agent answered.${evidence(death)}`,
    VFIO_REFUSAL.test(death.qemuMessage) ? { remedy: VFIO_REMEDY } : {},
  );
}

/** QEMU's words for a group that VFIO does not give it. */
const VFIO_REFUSAL = /failed to set iommu for container|failed to open \/dev\/vfio|failed to set ?up container/i;
const VFIO_REMEDY =
  "The kernel's log (dmesg) says why VFIO refuses the device: interrupts that the IOMMU does not remap, or a group that another VM has.";

/** The error for a VM whose agent did not answer within the limit: CAISSON_E_VM_START. */
export function startTimeoutError(limitMs: number, consoleLines: readonly string[]): CaissonError {
  return new CaissonError(
    "CAISSON_E_VM_START",
    `cannot start the VM: its agent did not answer within ${limitMs / 1000} s.${evidence({ consoleLines, qemuMessage: "" })}`,
    {
      remedy:
        "If the host is merely slow, raise boot_timeout_seconds in the settings. `caisson check` boots a VM, and says what it is made of.",
    },
  );
}

function evidence({ consoleLines, qemuMessage }: Pick<ExitReason, "consoleLines" | "qemuMessage">): string {
  const qemu = qemuMessage === "" ? "" : ` QEMU said: ${qemuMessage}`;
  if (consoleLines.length === 0) return `${qemu} Its console is empty.`;
  return `${qemu} Last lines of its console:\n${consoleLines.map((line) => `  ${line}`).join("\n")}`;
}
