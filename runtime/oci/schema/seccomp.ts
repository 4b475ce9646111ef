/** config-linux.md: Seccomp. */
import type * as Oci from "../../../protocol/oci.ts";
import { array, integer, object, oneOf, type Schema, string, strings } from "./parts.ts";

const action = oneOf(
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
);

const architecture = oneOf(
  "SCMP_ARCH_X86",
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_X32",
  "SCMP_ARCH_ARM",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_LOONGARCH64",
  "SCMP_ARCH_M68K",
  "SCMP_ARCH_MIPS",
  "SCMP_ARCH_MIPS64",
  "SCMP_ARCH_MIPS64N32",
  "SCMP_ARCH_MIPSEL",
  "SCMP_ARCH_MIPSEL64",
  "SCMP_ARCH_MIPSEL64N32",
  "SCMP_ARCH_PPC",
  "SCMP_ARCH_PPC64",
  "SCMP_ARCH_PPC64LE",
  "SCMP_ARCH_S390",
  "SCMP_ARCH_S390X",
  "SCMP_ARCH_SH",
  "SCMP_ARCH_SHEB",
  "SCMP_ARCH_PARISC",
  "SCMP_ARCH_PARISC64",
  "SCMP_ARCH_RISCV64",
);

const argument = object<Oci.SeccompArgument>(
  {
    index: integer("uint32"),
    value: integer("uint64"),
    valueTwo: integer("uint64"),
    op: oneOf(
      "SCMP_CMP_NE",
      "SCMP_CMP_LT",
      "SCMP_CMP_LE",
      "SCMP_CMP_EQ",
      "SCMP_CMP_GE",
      "SCMP_CMP_GT",
      "SCMP_CMP_MASKED_EQ",
    ),
  },
  "index",
  "value",
  "op",
);

const syscall = object<Oci.SeccompSyscall>(
  { names: strings, action, errnoRet: integer("uint32"), args: array(argument) },
  "names",
  "action",
);

export const seccomp: Schema = object<Oci.Seccomp>(
  {
    defaultAction: action,
    defaultErrnoRet: integer("uint32"),
    architectures: array(architecture),
    flags: array(
      oneOf(
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
      ),
    ),
    listenerPath: string,
    listenerMetadata: string,
    syscalls: array(syscall),
  },
  "defaultAction",
);
