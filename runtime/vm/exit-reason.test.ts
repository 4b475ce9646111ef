import assert from "node:assert/strict";
import { test } from "node:test";
import { CaissonError } from "../../protocol/errors.ts";
import { type DeathFacts, diedError, explainDeath, startError, startTimeoutError, unanswered } from "./exit-reason.ts";

const FACTS: DeathFacts = { killed: false, panicked: false, exitCode: 0, consoleLines: [], qemuMessage: "" };

for (const [what, facts, reason, description] of [
  ["our own kill", { killed: true, exitSignal: "SIGKILL", exitCode: undefined }, "killed", /ended by Caisson/],
  ["another's kill", { exitSignal: "SIGKILL", exitCode: undefined }, "qemu-exit", /killed by SIGKILL/],
  ["QEMU's failure", { exitCode: 1 }, "qemu-exit", /status 1/],
  ["QEMU's exit with success", {}, "qemu-exit", /QEMU exited/],
  ["a reset", { shutdownReason: "guest-reset" }, "guest-reset", /restarted itself/],
  ["a shutdown", { shutdownReason: "guest-shutdown" }, "guest-shutdown", /shut down/],
  ["a panic", { shutdownReason: "guest-reset", panicLine: "Kernel panic - x" }, "guest-panic", /"Kernel panic - x"/],
  ["a panic QEMU noticed", { panicked: true, exitSignal: "SIGKILL" }, "guest-panic", /panicked/],
  ["a state without return", { stoppedIn: "internal-error", exitSignal: "SIGKILL" }, "vm-error", /"internal-error"/],
  ["a refused set-up", { failure: "QEMU refused x: y", exitSignal: "SIGKILL" }, "vm-error", /QEMU refused x: y/],
] as const) {
  test(`explainDeath tells ${what}`, () => {
    const death = explainDeath({ ...FACTS, ...facts });
    assert.equal(death.reason, reason);
    assert.match(death.description, description);
  });
}

test("explainDeath does not take an old panic message for the cause of another end", () => {
  const death = explainDeath({ ...FACTS, panicLine: "Kernel panic - x", exitSignal: "SIGSEGV", exitCode: undefined });
  assert.equal(death.reason, "qemu-exit");
});

test("startError and diedError carry their codes, QEMU's words and the console's last lines", () => {
  const death = explainDeath({ ...FACTS, exitCode: 1, consoleLines: ["one", "two"], qemuMessage: "no such device" });
  const start = startError(death);
  assert.equal(start.code, "CAISSON_E_VM_START");
  assert.match(
    start.message,
    /status 1 before its agent answered\. QEMU said: no such device Last lines.*\n {2}one\n {2}two$/,
  );
  const died = diedError("Cannot run the process", death);
  assert.equal(died.code, "CAISSON_E_VM_DIED");
  assert.match(died.message, /^Cannot run the process: the VM ended because QEMU failed/);
});

test("startTimeoutError says the limit, and that an empty console is empty", () => {
  const error = startTimeoutError(1500, []);
  assert.equal(error.code, "CAISSON_E_VM_START");
  assert.match(error.message, /within 1\.5 s\. Its console is empty\.$/);
  assert.ok(error.remedy);
});

test("unanswered says what the VM can still tell of a call that took too long, and leaves another error alone", () => {
  const late = new CaissonError("CAISSON_E_TIMEOUT", "the agent did not answer createContainer");
  const told = (lines: string[], shareWarning?: string) =>
    (unanswered(late, { lastConsoleLines: () => lines, shareWarning }) as CaissonError).message;
  assert.equal(told([]), `${late.message}. Its console is empty.`);
  assert.equal(
    told(["BUG: soft lockup"], "virtiofsd has not answered"),
    `${late.message}. Its shared directory: virtiofsd has not answered. Last lines of its console:\n  BUG: soft lockup`,
  );
  const other = new CaissonError("CAISSON_E_STATE", "no");
  assert.equal(unanswered(other, { lastConsoleLines: () => [], shareWarning: "x" }), other);
});

test("startError says where the reason is when VFIO refuses a device", () => {
  const qemuMessage = "vfio 0000:00:04.0: failed to setup container for group 7: Failed to set iommu for container";
  assert.match(startError(explainDeath({ ...FACTS, exitCode: 1, qemuMessage })).remedy ?? "", /kernel's log \(dmesg\)/);
  assert.equal(startError(explainDeath({ ...FACTS, exitCode: 1, qemuMessage: "no such device" })).remedy, undefined);
});
