/** What the one program is started as, by its first argument (main.ts); any other word is the command line's. */

/** The name that containerd starts shims by: runtime `io.containerd.caisson.v2`. */
export const SHIM_NAME = "containerd-shim-caisson-v2";

/** What the program starts itself as (spawn-self.ts); the role's parameters follow as JSON. */
export const ROLES = [
  /** The daemon of a sandbox, for the CLI's verbs (daemon/daemon.ts). */
  "sandbox-daemon",
  /** The daemon of a pod, for containerd or CRI-O (shim/daemon.ts). */
  "shim-daemon",
  /** What stands on the host for a detached exec (cli/exec-monitor.ts). */
  "exec-monitor",
  /** The process that makes a fork server (factory/fork-server/maker). */
  "make-fork-server",
  /** What sends the spans of one start to a collector (tracing/exporter.ts). */
  "export-trace",
] as const;

export type Role = (typeof ROLES)[number];

/** @returns the role of that word, if it is one. */
export function roleOf(word: string): Role | undefined {
  return ROLES.find((role) => role === word);
}
