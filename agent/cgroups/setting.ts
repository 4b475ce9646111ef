import { CaissonError } from "../../protocol/errors.ts";
import type { Int64 } from "../../protocol/oci.ts";

/** A write into a file of a container's cgroup directory, and the configuration field that asked for it. */
export interface Setting {
  file: string;
  value: string;
  field: string;
  /** A kernel without this file already behaves as the value asks, so its absence is no failure. */
  absentIsFine?: true;
}

/** What a cgroup file holds now, trimmed; undefined when the cgroup has no such file. */
export type ReadCgroupFile = (file: string) => string | undefined;

/** A limit as cgroup v2 writes it: negative numbers are "max". */
export function limitText(value: Int64): string {
  return value < 0 ? "max" : value.toString();
}

/** Throws CAISSON_E_CONFIG_UNSUPPORTED for a resource that cgroup v2 has no counterpart for. */
export function refuse(field: string, why: string): never {
  throw new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", `${field} cannot be carried out: ${why}`, { field });
}

/** Throws CAISSON_E_CONFIG_INVALID for a value that contradicts another or lies outside its range. */
export function invalid(field: string, why: string): never {
  throw new CaissonError("CAISSON_E_CONFIG_INVALID", `${field} ${why}`, { field });
}
