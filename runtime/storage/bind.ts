import { constants, mount } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";

export interface BindOptions {
  /** With what is mounted below it. */
  recursive: boolean;
  /** Kept by the host: the guest's own flag is in the guest's power. */
  readOnly: boolean;
  /** Of the configuration. */
  field: string;
}

/** Shows a file or directory of the host at `target`, which is there. @throws CaissonError CAISSON_E_STORAGE naming the field. */
export function bind(source: string, target: string, { recursive, readOnly, field }: BindOptions): void {
  try {
    mount(source, target, null, constants.MS_BIND | (recursive ? constants.MS_REC : 0), null);
    if (readOnly) setReadOnly(target, true);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_STORAGE", `${field}: ${source} cannot be shared with the VM`, { cause, field });
  }
}

/** Changes a bind mount; what is mounted below it stays as it is. */
export function setReadOnly(target: string, readOnly: boolean): void {
  const flags = constants.MS_REMOUNT | constants.MS_BIND | (readOnly ? constants.MS_RDONLY : 0);
  mount(null, target, null, flags, null);
}
