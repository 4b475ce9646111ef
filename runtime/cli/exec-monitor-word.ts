/** argv[1] of an exec monitor (exec-monitor.ts): the word that runtime/main.ts looks for, without loading the rest. */
export const EXEC_MONITOR_WORD = "exec-monitor";
