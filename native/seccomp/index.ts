import { loadAddon } from "../addon.ts";

/** libseccomp's numbers; an action that returns a value has it in its low 16 bits. */
export interface SeccompConstants {
  readonly SCMP_ACT_KILL_PROCESS: number;
  readonly SCMP_ACT_KILL_THREAD: number;
  readonly SCMP_ACT_TRAP: number;
  readonly SCMP_ACT_LOG: number;
  readonly SCMP_ACT_ALLOW: number;
  readonly SCMP_ACT_ERRNO: number;
  readonly SCMP_ACT_TRACE: number;
  readonly SCMP_ARCH_X86: number;
  readonly SCMP_ARCH_X86_64: number;
  readonly SCMP_ARCH_X32: number;
  readonly SCMP_CMP_NE: number;
  readonly SCMP_CMP_LT: number;
  readonly SCMP_CMP_LE: number;
  readonly SCMP_CMP_EQ: number;
  readonly SCMP_CMP_GE: number;
  readonly SCMP_CMP_GT: number;
  readonly SCMP_CMP_MASKED_EQ: number;
  readonly __NR_SCMP_ERROR: number;
}

export interface SeccompAddon {
  readonly constants: SeccompConstants;
  /**
   * The number that a system call has on an architecture; __NR_SCMP_ERROR for a name that no architecture has, another
   * negative number for one that only others have (seccomp_syscall_resolve_name_arch(3)).
   */
  resolve(architecture: number, name: string): number;
  /**
   * The program (struct sock_filter[]), compiled on another thread, for the machine's own architecture and the named ones.
   * @param rules one after the other: action, system call, number of conditions, and for each of those argument, operator
   *   and two values.
   * @param optimize 1: by the rules' order, 2: a binary tree (SCMP_FLTATR_CTL_OPTIMIZE of seccomp_attr_set(3)).
   * Rejects with an Error has it, with the errno of the libseccomp function that refused and, as `rule`, how many rules
   *   it had taken before; -1 before the first.
   */
  compile(defaultAction: number, architectures: Uint32Array, rules: BigUint64Array, optimize: number): Promise<Buffer>;
}

let addon: SeccompAddon | undefined;

/** Loaded by its first user: most containers of most engines come with a filter, but those of a bare bundle do not. */
export function libseccomp(): SeccompAddon {
  addon ??= loadAddon("seccomp") as SeccompAddon;
  return addon;
}
