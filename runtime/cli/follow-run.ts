import { CaissonError } from "../../protocol/errors.ts";
import type { GlobalSettings } from "../control/plain-command.ts";
import type { Daemon } from "../control/spawn.ts";
import { VM_DEATH_EXIT_CODE } from "../guest/exit-status.ts";
import { now } from "../process/clock.ts";
import { tracePhase } from "../process/trace.ts";
import { removeIfOf } from "../sandbox/cleanup.ts";
import { log } from "../text/log.ts";
import type { Foreground } from "./foreground.ts";
import type { OwnTerminal } from "./terminal.ts";

/**
 * Returns the exit code of a container that runs in our foreground, once it has ended and, unless it is to be kept, is removed.
 * @throws CaissonError CAISSON_E_VM_DIED when a signal has ended its daemon; sets this process's exit code then.
 */
export async function followRun(
  { root }: GlobalSettings,
  id: string,
  daemon: Daemon,
  foreground: Foreground,
  { terminal, keep = false }: { terminal?: OwnTerminal | undefined; keep?: boolean | undefined } = {},
): Promise<number> {
  const started = now();
  foreground.forwardTo(daemon.client, undefined, terminal && (() => terminal.size));
  try {
    const code = await daemon.exited;
    tracePhase("run", started);
    log.debug("the container has ended", { exitCode: code });
    return code;
  } catch (cause) {
    process.exitCode = VM_DEATH_EXIT_CODE;
    throw new CaissonError("CAISSON_E_VM_DIED", `container ${id} is lost`, { cause });
  } finally {
    if (!keep) await removeIfOf(daemon.identity, root, id);
  }
}
