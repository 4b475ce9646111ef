/**
 * System calls that are newer than a filter's author knew. A C library tries them first and falls back to older ones when
 * they do not exist (ENOSYS), but not when they are forbidden (EPERM): so, as with runc, a number past the last one that the
 * filter names answers ENOSYS instead of the default action.
 */
import type { SeccompAddon } from "../../../native/seccomp/index.ts";
import type { Seccomp } from "../../../protocol/oci.ts";

const ENOSYS = 38;
/** Set in a call's number by x32 programs, which otherwise look like x86-64 (linux/unistd.h, __X32_SYSCALL_BIT). */
const X32_BIT = 0x40000000;
/** linux/audit.h */
const AUDIT_ARCH_I386 = 0x40000003;
const AUDIT_ARCH_X86_64 = 0xc000003e;

/** linux/bpf_common.h: class, size, mode, operation. */
const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_BITS_SET = 0x45;
const RETURN = 0x06;
const INSTRUCTION_BYTES = 8;
/** linux/seccomp.h, struct seccomp_data: offsets. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const SECCOMP_RET_ERRNO = 0x00050000;

interface Instruction {
  code: number;
  k: number;
  /** How many instructions to skip when the comparison is true, and when it is not. */
  yes?: number;
  no?: number;
}

/** The instructions before the filter's own; none where unknown calls are let through anyway. */
export function refuseNewerCalls(
  { resolve, constants }: SeccompAddon,
  { defaultAction, syscalls = [] }: Seccomp,
  architectures: readonly number[],
): Buffer {
  // A tracer is expected to know what to do with new calls.
  if (["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].includes(defaultAction)) return Buffer.alloc(0);
  const instructions: Instruction[] = [];
  for (const architecture of new Set([constants.SCMP_ARCH_X86_64, ...architectures])) {
    let last = 0;
    for (const { names } of syscalls) for (const name of names) last = Math.max(last, resolve(architecture, name));
    if (last === 0) continue;
    const x32 = architecture === constants.SCMP_ARCH_X32;
    const audited = architecture === constants.SCMP_ARCH_X86 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
    const mode = audited === AUDIT_ARCH_X86_64 ? [jump(JUMP_BITS_SET, X32_BIT, x32 ? [0, 2] : [2, 0])] : [];
    instructions.push(
      { code: LOAD_WORD, k: ARCHITECTURE },
      jump(JUMP_EQUAL, audited, [0, mode.length + 3]),
      { code: LOAD_WORD, k: NUMBER },
      ...mode,
      jump(JUMP_GREATER, last, [0, 1]),
      { code: RETURN, k: SECCOMP_RET_ERRNO | ENOSYS },
    );
  }
  return encode(instructions);
}

function jump(code: number, k: number, [yes, no]: [number, number]): Instruction {
  return { code, k, yes, no };
}

/** struct sock_filter (linux/filter.h). */
function encode(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(instructions.length * INSTRUCTION_BYTES);
  instructions.forEach(({ code, k, yes = 0, no = 0 }, index) => {
    const at = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(yes, at + 2);
    bytes.writeUInt8(no, at + 3);
    bytes.writeUInt32LE(k >>> 0, at + 4);
  });
  return bytes;
}
