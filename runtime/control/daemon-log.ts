/** How the daemon logs; the CLI's own flags, handed on. */
export interface DaemonLog {
  log?: string | undefined;
  logFormat: "text" | "json";
  debug: boolean;
  /** Chrome trace-event file that both append to. */
  trace?: string | undefined;
}

/** Callers have it among other settings. */
export function logOf({ log, logFormat, debug, trace }: DaemonLog): DaemonLog {
  return { log, logFormat, debug, trace };
}
