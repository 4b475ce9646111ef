import { openSync } from "node:fs";
import { CaissonError } from "../../protocol/errors.ts";

/** As open(2) has them in fs.openSync(). */
type OpenFlags = "r" | "r+" | "w";

/** The same file from its start: an inherited descriptor shares its position with the one it is a copy of. */
export function reopen(fd: number, flags: OpenFlags): number {
  return openForVm(`/proc/self/fd/${fd}`, flags);
}

/** Opens what a VM needs. @throws CaissonError CAISSON_E_HOST naming the file. */
export function openForVm(path: string, flags: OpenFlags): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw new CaissonError(
      "CAISSON_E_HOST",
      `cannot start the VM: ${path} cannot be opened: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}
