/**
 * Ids of sandboxes, containers and processes: they name directories and cgroups on the host and in the guest. Both sides
 * have this one rule, so that no id is taken by the host and then refused by a guest that has started for it.
 */
import { CaissonError } from "./errors.ts";

/** A file name has at most 255 bytes (NAME_MAX). An id stands in a path as a name of its own, with nothing put to it. */
export const LONGEST_ID = 255;

/** How much of an id that cannot be used an error shows, characters. */
const SHOWN = 57;

/**
 * The rule of runc's validateID since 1.2: letters, digits and `_ + - .`, neither `.` nor `..`. (The regular expression of
 * runc 1.1 let a comma through as well, by mistake.) `what` names the owner of the id: "container".
 * @throws CaissonError CAISSON_E_ID_INVALID with the reason.
 */
export function checkId(what: string, id: string): void {
  const reason = reasonAgainst(id);
  if (reason === undefined) return;
  const shown = id.length > SHOWN + 3 ? `${id.slice(0, SHOWN)}...` : id;
  throw new CaissonError("CAISSON_E_ID_INVALID", `invalid ${what} ID ${JSON.stringify(shown)}: ${reason}`, {
    remedy: `Use 1 to ${LONGEST_ID} letters, digits and the characters _ + - . for an id.`,
  });
}

function reasonAgainst(id: string): string | undefined {
  if (id === "") return "it is empty";
  if (id === "." || id === "..") return "it names a directory of its own";
  const bad = /[^A-Za-z0-9_+.-]/u.exec(id);
  if (bad !== null) return `invalid character ${JSON.stringify(bad[0])}`;
  if (id.length > LONGEST_ID) return `it has ${id.length} characters, and at most ${LONGEST_ID} fit`;
  return undefined;
}
