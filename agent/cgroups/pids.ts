import type { PidsResources } from "../../protocol/oci.ts";
import type { Setting } from "./setting.ts";

/** The write for `linux.resources.pids.limit`: zero and negative numbers mean no limit. */
export function pidsSettings({ limit }: PidsResources): Setting[] {
  if (limit === undefined) return [];
  return [{ file: "pids.max", value: limit > 0 ? limit.toString() : "max", field: "linux.resources.pids.limit" }];
}
