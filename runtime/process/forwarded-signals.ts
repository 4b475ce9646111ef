import { constants } from "node:os";
import { unblockSignal } from "../../native/posix/index.ts";

/** Not SIGTSTP and its kin: they stop the process that gets them, so that a shell's job control works. */
const FORWARDED = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM"] as const;

/**
 * Hears the signals that are meant for the container's process when they are sent to one of ours that stands for it.
 * @param received gets the signal's number and name.
 * @returns what ends it.
 */
export function onForwardedSignals(received: (signal: number, name: NodeJS.Signals) => void): Disposable {
  const listener = (name: NodeJS.Signals, signal: number) => received(signal, name);
  for (const name of FORWARDED) process.on(name, listener);
  // SIGUSR1 was blocked since the start, where it would have started the debugger.
  unblockSignal(constants.signals.SIGUSR1);
  return {
    [Symbol.dispose]() {
      for (const name of FORWARDED) process.removeListener(name, listener);
    },
  };
}
