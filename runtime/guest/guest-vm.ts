import type { ExitReason } from "../vm/exit-reason.ts";
import type { Machine } from "../vm/machine.ts";
import type { Agent } from "./agent/client.ts";

/** The VM that containers are in, as they see it. */
export interface GuestVm {
  readonly agent: Agent;
  /** Its ports carry much of a standard stream beside the agent's connection; without it all goes through that. It tells of a call that is late, too. */
  readonly machine?: Pick<Machine, "streamPorts" | "lastConsoleLines" | "shareWarning">;
  readonly vcpus: number;
  /** What the VM can come to have. */
  readonly mostMemoryMib: number;
  /** Whether several containers run in it. */
  readonly isShared: boolean;
  /**
   * Ends the VM, since its agent does not do what it must.
   * @param why ends the sentence "the VM was given up: ...".
   * @returns how the VM ended, once it has.
   */
  giveUp(why: string): Promise<ExitReason>;
  /**
   * Finds out why a call failed that only the VM's end can make fail. A VM that lives on is given up.
   * @returns how the VM ended, once it has.
   */
  lost(error: unknown): Promise<ExitReason>;
  /** @returns how the VM ended, if that is what made a call fail, which is told a moment ahead of it. */
  deathBehind(error: unknown): Promise<ExitReason | undefined>;
}
