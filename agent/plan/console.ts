import type { Process } from "../../protocol/oci.ts";
import type { Step } from "../steps.ts";

/** A pty of the container's own devpts becomes stdio and the controlling terminal; `bind` puts it on /dev/console. */
export function consoleStep(process: Process, rows: number, columns: number, bind: boolean): Step {
  return {
    op: "console",
    rows: rows === 0 ? (process.consoleSize?.height ?? 0) : rows,
    columns: columns === 0 ? (process.consoleSize?.width ?? 0) : columns,
    bind: bind ? 1 : 0,
    field: "process.terminal",
    subject: "/dev/pts/ptmx",
    task: "opening the terminal",
  };
}
