/** argv[1] of a daemon: the word that runtime/main.ts looks for, without loading the rest. */
export const DAEMON_WORD = "sandbox-daemon";
