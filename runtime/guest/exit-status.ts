import type { ExitReason } from "../vm/exit-reason.ts";

/** How a process ended. */
export interface Exit {
  /** 0 to 255; 128 + signal when a signal ended it; 255 when the VM died under it. */
  exitCode: number;
  /** Unix milliseconds, by the host's clock. */
  exitedAt: number;
  oomKilled: boolean;
  /** The guest's kernel killed because the VM's memory was exhausted; then this says how large it is, and what raises it. */
  memoryExhausted?: string | undefined;
  /** Only where the VM died under it. */
  death?: ExitReason | undefined;
}

/** The exit code reported for a process whose VM died: there was no exit, and it must not look like success. */
export const VM_DEATH_EXIT_CODE = 255;
