/** A terminal's size, in characters. */
export interface WindowSize {
  rows: number;
  columns: number;
}

/** How a terminal starts. */
export interface TerminalMode extends WindowSize {
  /** "\n" does not become "\r\n" on output (ONLCR, termios(3)). */
  keepNewlines?: boolean | undefined;
}
