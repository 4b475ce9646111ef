import type { Process } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";

/** How a terminal starts. */
export interface TerminalInput {
  /** The first window size, in characters; 0 means unset. */
  rows: number;
  columns: number;
  /** "\n" does not become "\r\n" on output (ONLCR, termios(3)). */
  keepNewlines?: boolean;
}

/** A pty of the container's own devpts becomes stdio and the controlling terminal; `bind` puts it on /dev/console. */
export function consoleStep(process: Process, { rows, columns, keepNewlines }: TerminalInput, bind: boolean): Step {
  return {
    op: "console",
    rows: rows === 0 ? (process.consoleSize?.height ?? 0) : rows,
    columns: columns === 0 ? (process.consoleSize?.width ?? 0) : columns,
    keepNewlines: keepNewlines === true ? 1 : 0,
    bind: bind ? 1 : 0,
    field: "process.terminal",
    subject: "/dev/pts/ptmx",
    task: "opening the terminal",
  };
}
