import { closeSync } from "node:fs";
import { attachMounts, cloneMounts, idMap as makeIdMap, mapIds, setReadOnly } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../text/errors.ts";
import type { IdMap } from "./id-map.ts";

export interface BindOptions {
  /** With what is mounted below it. */
  recursive: boolean;
  /** Kept by the host: the guest's own flag is in the guest's power. */
  readOnly: boolean;
  /** Whom the files belong to, when that is not whom the file system says. */
  idMap?: IdMap | undefined;
  /** The field of the configuration that asks for the mount. */
  field: string;
}

/**
 * Shows a file or directory of the host at `target`, which is there. The mount is what it is to be before it is anywhere: a later
 * change would not reach its copy in virtiofsd's mount namespace.
 * @throws CaissonError CAISSON_E_STORAGE naming the field.
 */
export function bind(source: string, target: string, { recursive, readOnly, idMap, field }: BindOptions): void {
  try {
    const tree = cloneMounts(source, recursive);
    try {
      if (readOnly) setReadOnly(tree);
      if (idMap !== undefined) map(tree, idMap, source, field);
      attachMounts(tree, target);
    } finally {
      closeSync(tree);
    }
  } catch (cause) {
    if (cause instanceof CaissonError) throw cause;
    throw new CaissonError("CAISSON_E_STORAGE", `${field}: ${source} cannot be shared with the VM`, { cause, field });
  }
}

function map(tree: number, { uids, gids, recursive }: IdMap, source: string, field: string): void {
  const failed = (doing: string, cause: unknown, remedy?: string) =>
    new CaissonError("CAISSON_E_STORAGE", `${field}: ${systemErrorSentence(doing, cause)}`, {
      cause,
      field,
      ...(remedy !== undefined && { remedy }),
    });
  let namespace: number;
  try {
    namespace = makeIdMap(uids, gids);
  } catch (cause) {
    throw failed("make the id map", cause);
  }
  try {
    mapIds(tree, namespace, recursive);
  } catch (cause) {
    throw failed(`map the ids of ${source}`, cause, REMEDIES[(cause as NodeJS.ErrnoException).code ?? ""]);
  } finally {
    closeSync(namespace);
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  EINVAL:
    "The host's kernel cannot map ids on that file system: use another one, or let its files have the ids that are wanted.",
  EPERM: "A mount that is id-mapped already cannot be mapped again.",
};
