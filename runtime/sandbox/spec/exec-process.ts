import { join } from "node:path";
import { CaissonError } from "../../../protocol/errors.ts";
import type { Process, Spec } from "../../../protocol/oci.ts";
import { readDocument } from "../../oci/document.ts";
import { commandProcess, type ProcessFlags } from "../../oci/exec-process.ts";
import { validateProcess } from "../../oci/validate.ts";
import { dropProcessLabels } from "./host-labels.ts";

/**
 * The process of a bundle's configuration, as that is now, with another command.
 * @param tell is called with what is left out of it; the log without it.
 * @throws CaissonError CAISSON_E_USAGE without a command or for a wrong flag; as readDocument() and validateProcess().
 */
export function commandOfBundle(
  bundle: string,
  args: readonly string[],
  flags: ProcessFlags,
  tell?: (sentence: string) => void,
): Process {
  if (args.length === 0) throw new CaissonError("CAISSON_E_USAGE", "process args cannot be empty");
  const path = join(bundle, "config.json");
  const config = readDocument(path, "CAISSON_E_BUNDLE") as Partial<Spec> | null;
  const own = validateProcess(dropProcessLabels(config?.process, tell), path, tell);
  return validateProcess(commandProcess(own, args, flags), "the process to run", tell);
}
