import type { ExitReason } from "../vm/exit-reason.ts";

/** What Linux says when it has no memory left and nobody whom it may kill for it, and for whom it has killed (mm/oom_kill.c). */
const OUT_OF_MEMORY = /deadlocked on memory|Out of memory/;

/** Whether the guest's kernel complained of that before it ended. Its word is shown, and nothing else depends on it. */
export function isOutOfMemory({ reason, consoleLines }: ExitReason): boolean {
  return reason !== "killed" && consoleLines.some((line) => OUT_OF_MEMORY.test(line));
}

/** Says that the guest's kernel has killed processes since the VM has no memory left, and what gives it more. */
export function memoryExhausted(memoryMib: number): string {
  return (
    `the VM's memory of ${memoryMib} MiB is exhausted, so its kernel has killed processes: raise max_memory_percent ` +
    "or default_memory_mib in the settings, or the annotation io.caisson.memory_mib, or give the container a memory limit, which its VM is made for " +
    "(linux.resources.memory.limit)"
  );
}
