/** What the one program is started as, by its first argument (main.ts); any other word is the command line's. */

/** The name that containerd starts shims by: runtime `io.containerd.caisson.v2`. */
export const SHIM_NAME = "containerd-shim-caisson-v2";

/** What native/launch puts before the name: facts of the daemon that it has started as well (control/early-daemon.ts) follow. */
export const WITH_DAEMON = "with-daemon";

/** What it puts there when it cannot go on with what a daemon has answered (cli/answer.ts): the
 * facts of a daemon that it has started follow, or nothing, and the answer. */
export const WITH_ANSWER = "with-answer";

/** What the program starts itself as (spawn-self.ts); the role's parameters follow as JSON. */
export const ROLES = [
  /** The daemon of a sandbox, for the CLI's verbs (daemon/daemon.ts); native/launch has "--" and the command line follow. */
  "sandbox-daemon",
  /** The daemon of a pod, for containerd or CRI-O (shim/daemon.ts): native/shim-start has "--" and its own command line follow. */
  "shim-daemon",
  /** What stands on the host for a detached exec (cli/exec-monitor.ts). */
  "exec-monitor",
  /** The process that makes a fork server (factory/fork-server/maker). */
  "make-fork-server",
  /** What sends the spans of one start to a collector (tracing/exporter.ts). */
  "export-trace",
  /** What makes a snapshot of this program, and what is restored from that to see whether it works (snapshot/make.ts). */
  "make-snapshot",
  "try-snapshot",
] as const;

export type Role = (typeof ROLES)[number];

/** Root certificates are taken from where OpenSSL has them, and only once there is a connection by TLS. */
const OPENSSL_CA = "--use-openssl-ca";

/**
 * Node's flags for a role, from those that this process has. node:http2, and so gRPC, loads node:tls, which has a thread parse all root
 * certificates that Node brings: 13 ms of a processor and 1.5 MiB for each daemon. Only the exporter has a use for them.
 */
export function nodeFlags(role: Role, own: readonly string[]): readonly string[] {
  const others = own.filter((flag) => flag !== OPENSSL_CA);
  return role === "export-trace" ? others : [...others, OPENSSL_CA];
}

/** @returns the role of that word, if it is one. */
export function roleOf(word: string): Role | undefined {
  return ROLES.find((role) => role === word);
}
