/** A check of one subject: yields what is wrong with it. Structure (types, required fields) is already checked. */
import type { Spec } from "../../../protocol/oci.ts";
import type { Problem } from "./problem.ts";

export type Check = (config: Spec) => Iterable<Problem>;

/** C strings end at a NUL byte, so one inside would silently cut a path or an argument. */
export function* noNulByte(field: string, text: string): Iterable<Problem> {
  if (text.includes("\0")) yield { field, message: "must not contain a NUL byte" };
}

export function* absolutePath(field: string, path: string): Iterable<Problem> {
  if (!path.startsWith("/")) yield { field, message: `must be an absolute path, not ${JSON.stringify(path)}` };
  yield* noNulByte(field, path);
}
