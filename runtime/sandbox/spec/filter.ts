import type { Spec } from "../../../protocol/oci.ts";
import { compileSeccomp, type SeccompFilter } from "../../oci/seccomp.ts";

/** The configuration's system call filter; it is compiled beside whatever else goes on. Rejects as compileSeccomp does. */
export async function compileFilter({ linux, annotations = {} }: Spec): Promise<SeccompFilter | undefined> {
  const strict = annotations["run.oci.seccomp_fail_unknown_syscall"] === "1";
  return linux?.seccomp === undefined ? undefined : compileSeccomp(linux.seccomp, strict ? "refused" : "left out");
}
