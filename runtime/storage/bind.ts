import { closeSync } from "node:fs";
import { attachMounts, cloneMounts, setReadOnly } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";

export interface BindOptions {
  /** With what is mounted below it. */
  recursive: boolean;
  /** Kept by the host: the guest's own flag is in the guest's power. */
  readOnly: boolean;
  /** Of the configuration. */
  field: string;
}

/**
 * Shows a file or directory of the host at `target`, which is there. The mount is read-only before it is anywhere: a later change would
 * not reach its copy in virtiofsd's mount namespace.
 * @throws CaissonError CAISSON_E_STORAGE naming the field.
 */
export function bind(source: string, target: string, { recursive, readOnly, field }: BindOptions): void {
  try {
    const tree = cloneMounts(source, recursive);
    try {
      if (readOnly) setReadOnly(tree);
      attachMounts(tree, target);
    } finally {
      closeSync(tree);
    }
  } catch (cause) {
    throw new CaissonError("CAISSON_E_STORAGE", `${field}: ${source} cannot be shared with the VM`, { cause, field });
  }
}
