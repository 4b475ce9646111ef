/** Container ids: they name directories, cgroups and files of the guest, so they must be plain file names. */
import { CaissonError } from "../../protocol/errors.ts";

/** File names have at most 255 bytes (NAME_MAX); the rest is for what is put before and after an id in them. */
export const LONGEST_ID = 200;

/** Throws CAISSON_E_ID_INVALID unless the id has 1 to LONGEST_ID of the characters that runc allows. */
export function checkId(id: string): void {
  const reason = reasonAgainst(id);
  if (reason === undefined) return;
  const shown = id.length > 60 ? `${id.slice(0, 57)}...` : id;
  throw new CaissonError(
    "CAISSON_E_ID_INVALID",
    `the container id ${JSON.stringify(shown)} cannot be used: ${reason}`,
    {
      remedy: `Use 1 to ${LONGEST_ID} letters, digits and the characters _ + - . for an id.`,
    },
  );
}

function reasonAgainst(id: string): string | undefined {
  if (id === "") return "it is empty";
  if (id === "." || id === "..") return "it names a directory of its own";
  const bad = /[^A-Za-z0-9_+.-]/u.exec(id);
  if (bad !== null) return `it has the character ${JSON.stringify(bad[0])}`;
  if (id.length > LONGEST_ID) return `it has ${id.length} characters, and at most ${LONGEST_ID} fit`;
  return undefined;
}
