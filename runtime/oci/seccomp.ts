/** Compiles `linux.seccomp` (config-linux.md, Seccomp) to the program that the guest's kernel runs at every system call. */
import { libseccomp, type SeccompAddon } from "../../native/seccomp/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Seccomp, SeccompArgument } from "../../protocol/oci.ts";
import { actionNumber, flagBits, SECCOMP_ARCHITECTURES } from "./seccomp/actions.ts";
import { refuseNewerCalls } from "./seccomp/newer-calls.ts";

export interface SeccompFilter {
  /** struct sock_filter[]. */
  program: Buffer;
  /** SECCOMP_FILTER_FLAG_*. */
  flags: number;
}

/** linux/bpf_common.h, BPF_MAXINSNS, in instructions of 8 bytes. */
const MAX_PROGRAM_BYTES = 4096 * 8;
/** Past this many calls libseccomp's binary tree pays; before 2.5.5 it goes wrong with none at all. */
const TREE_FROM = 32;
const BY_ORDER = 1;
const BINARY_TREE = 2;

/** A call that an entry of `syscalls` names. */
interface Rule {
  field: string;
  action: number;
  number: number;
  /** Together. */
  conditions: readonly SeccompArgument[];
}

/**
 * The filter of a valid configuration. Names that libseccomp does not know are left out, as runc leaves them out: they are
 * calls of kernels that are newer than it.
 * @param unknown what becomes of such names.
 * @throws CaissonError CAISSON_E_CONFIG_INVALID for a rule that libseccomp refuses and for a filter that the kernel would.
 */
export async function compileSeccomp(
  seccomp: Seccomp,
  unknown: "left out" | "refused" = "left out",
): Promise<SeccompFilter> {
  const addon = libseccomp();
  const { constants } = addon;
  const defaultAction = actionNumber(constants, seccomp.defaultAction, seccomp.defaultErrnoRet);
  const architectures = SECCOMP_ARCHITECTURES.filter((name) => seccomp.architectures?.includes(name)).map(
    (name) => constants[name],
  );
  const rules = rulesOf(addon, seccomp, defaultAction, unknown);
  const program = Buffer.concat([
    refuseNewerCalls(addon, seccomp, architectures),
    await compile(addon, defaultAction, architectures, rules),
  ]);
  if (program.length > MAX_PROGRAM_BYTES) {
    const message = `linux.seccomp: the filter has ${program.length / 8} instructions, and the kernel takes 4096`;
    throw new CaissonError("CAISSON_E_CONFIG_INVALID", message, { field: "linux.seccomp", remedy: "Use fewer rules." });
  }
  return { program, flags: flagBits(seccomp.flags) };
}

function rulesOf(
  { resolve, constants }: SeccompAddon,
  { syscalls = [] }: Seccomp,
  defaultAction: number,
  unknown: "left out" | "refused",
): Rule[] {
  const rules: Rule[] = [];
  syscalls.forEach(({ names, action: name, errnoRet, args = [] }, index) => {
    const action = actionNumber(constants, name, errnoRet);
    const field = `linux.seccomp.syscalls[${index}]`;
    if (unknown === "refused") {
      const call = names.find((each) => resolve(constants.SCMP_ARCH_X86_64, each) === constants.__NR_SCMP_ERROR);
      if (call !== undefined) throw unknownCall(call, field);
    }
    // A rule with the default action changes nothing, and libseccomp refuses it.
    if (action === defaultAction) return;
    // Conditions on one argument cannot hold together in libseccomp: as with runc, then any of them is enough.
    const alternatives = new Set(args.map((arg) => arg.index)).size < args.length ? args.map((arg) => [arg]) : [args];
    for (const call of names) {
      const number = resolve(constants.SCMP_ARCH_X86_64, call);
      if (number === constants.__NR_SCMP_ERROR) continue;
      for (const conditions of alternatives) rules.push({ field, action, number, conditions });
    }
  });
  return rules;
}

function unknownCall(name: string, field: string): CaissonError {
  const message = `${field}: libseccomp knows no system call ${JSON.stringify(name)}`;
  return new CaissonError("CAISSON_E_CONFIG_INVALID", message, {
    field,
    remedy: "Correct it, or leave the annotation run.oci.seccomp_fail_unknown_syscall out, so that it is passed over.",
  });
}

async function compile(
  addon: SeccompAddon,
  defaultAction: number,
  architectures: number[],
  rules: readonly Rule[],
): Promise<Buffer> {
  const { constants } = addon;
  const words = rules.flatMap(({ action, number, conditions }) => [
    BigInt(action),
    // A call that only other architectures have is a negative number.
    BigInt.asUintN(64, BigInt(number)),
    BigInt(conditions.length),
    ...conditions.flatMap(({ index, op, value, valueTwo = 0 }) => [
      BigInt(index),
      BigInt(constants[op]),
      BigInt(value),
      BigInt(valueTwo),
    ]),
  ]);
  const optimize = rules.length > TREE_FROM ? BINARY_TREE : BY_ORDER;
  try {
    return await addon.compile(
      defaultAction >>> 0,
      Uint32Array.from(architectures),
      BigUint64Array.from(words),
      optimize,
    );
  } catch (cause) {
    const field = rules[(cause as { rule: number }).rule]?.field ?? "linux.seccomp";
    throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${field}: libseccomp refuses it`, { cause, field });
  }
}
