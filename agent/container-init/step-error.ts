import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { CaissonError, type ErrorCode } from "../../protocol/errors.ts";
import type { Report } from "./codec.ts";
import type { Step } from "./steps.ts";

/** What container-init says for a directory that is reachable, yet not from the container's root (CVE-2024-21626). */
const EXDEV = 18;
const ENOENT = 2;

/** The sentence for a failed step: the field, what was being done, and why it failed; its code by what was being done. */
export function describeFailure(
  plan: { steps: readonly Step[] },
  failure: Extract<Report, { type: "failed" }>,
): CaissonError {
  const step = plan.steps[failure.index];
  if (step === undefined) {
    return new CaissonError(
      "CAISSON_E_INTERNAL",
      `container-init failed before its first step: ${reason(failure.errno, failure.detail)}`,
    );
  }
  const subject = step.subject === undefined ? "" : ` ${JSON.stringify(step.subject)}`;
  const why =
    step.op.startsWith("changeDirectory") && failure.errno === EXDEV
      ? "the directory lies outside the container"
      : reason(failure.errno, failure.detail);
  const what = step.op === "hook" ? step.task : `${step.task} failed`;
  return new CaissonError(codeOf(step, failure.errno), `${step.field}${subject}: ${what}: ${why}`, {
    field: step.field,
  });
}

function codeOf(step: Step, errno: number): ErrorCode {
  if (step.op === "hook") return "CAISSON_E_HOOK";
  if (step.op !== "findProgram" && step.op !== "execute") return "CAISSON_E_PROCESS_SETUP";
  return errno === ENOENT ? "CAISSON_E_COMMAND_NOT_FOUND" : "CAISSON_E_COMMAND_NOT_EXECUTABLE";
}

/** `no such file or directory (ENOENT)`, and what the kernel or a hook said besides. */
function reason(errno: number, detail: string): string {
  if (errno === 0) return detail;
  const [name, text] = getSystemErrorMap().get(-errno) ?? [];
  const why = name === undefined ? errnoName(errno) : `${text} (${name})`;
  return detail === "" ? why : `${why}: ${detail}`;
}

/** For those that libuv has no words for. */
function errnoName(errno: number): string {
  const [name] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? [`errno ${errno}`];
  return name;
}
