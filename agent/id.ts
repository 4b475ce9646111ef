import { CaissonError } from "../protocol/errors.ts";

/** Folder names in run directories and cgroups, so nothing that could lead out of them. */
const ID = /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}$/;

/** Throws CAISSON_E_ID_INVALID for what could not be a folder's name. */
export function checkId(what: string, id: string): void {
  if (ID.test(id)) return;
  throw new CaissonError(
    "CAISSON_E_ID_INVALID",
    `The ${what}'s id ${JSON.stringify(id.slice(0, 300))} is not made of at most 255 letters, digits and "_.+-".`,
  );
}
