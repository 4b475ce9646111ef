import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { ociState, runcState, type StateRecord } from "../state/record.ts";
import { listStates } from "../state/store.ts";
import { log } from "../text/log.ts";
import { print } from "../text/stdout.ts";
import { type Globals, verb } from "./command.ts";
import { table } from "./table.ts";

const HEADER = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];

export function command({ root }: Globals): Command {
  return verb("list", "Lists the containers under --root.")
    .option("-f, --format <format>", "table or json", "table")
    .option("-q, --quiet", "only their ids")
    .action(({ format, quiet }: { format: string; quiet?: boolean }) => {
      if (format !== "table" && format !== "json") {
        throw new CaissonError("CAISSON_E_USAGE", "invalid format option", { remedy: "Give table or json." });
      }
      const records = listStates(root, (reason) => log.warning(reason));
      print(listText(records, quiet === true ? "quiet" : format));
    });
}

/** The list as runc prints it. */
export function listText(records: readonly StateRecord[], format: "table" | "json" | "quiet"): string {
  if (format === "quiet") return records.map(({ id }) => `${id}\n`).join("");
  if (format === "json") {
    return `${JSON.stringify(records.map((record) => runcState(record, record.owner)))}\n`;
  }
  return table(
    HEADER,
    records.map((record) => [
      record.id,
      String(ociState(record).pid),
      record.status,
      record.bundle,
      record.created,
      record.owner,
    ]),
  );
}
