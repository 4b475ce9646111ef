/** What a process that we start is to its caller: its pid, its terminal and its descriptors. */
import { resolve } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { writePidFile } from "../text/pid-file.ts";
import { refuse } from "./refuse.ts";

/** @throws CaissonError CAISSON_E_USAGE for any but 0. */
export function refusePreservedFds(text: string): void {
  if (!/^\d+$/.test(text)) throw new CaissonError("CAISSON_E_USAGE", `--preserve-fds: "${text}" is not a number`);
  if (Number(text) > 0) refuse(`--preserve-fds ${text}`, "a file descriptor cannot cross into a VM");
}

/** Who gets the container's terminal: nobody, whoever listens on the console socket, or our own caller. */
export function checkTerminal(wanted: boolean, detached: boolean, consoleSocket: string | undefined): void {
  if (wanted && detached && consoleSocket === undefined) {
    throw new CaissonError(
      "CAISSON_E_USAGE",
      "cannot allocate tty if caisson will detach without setting console socket",
      {
        remedy: "Give --console-socket, or set process.terminal to false.",
      },
    );
  }
  if (consoleSocket !== undefined && !(wanted && detached)) {
    throw new CaissonError("CAISSON_E_USAGE", "cannot use console socket if caisson will not detach or allocate tty");
  }
}

/** Tells the caller, as the flags say, which process of the host stands for the container's. Throws as what it calls. */
export async function announcePid(
  { pidFile, pidfdSocket }: { pidFile?: string | undefined; pidfdSocket?: string | undefined },
  pid: number,
): Promise<void> {
  if (pidFile !== undefined) writePidFile(pidFile, pid);
  if (pidfdSocket === undefined) return;
  const { sendPidfd } = await import("./pidfd-socket.ts");
  sendPidfd(resolve(pidfdSocket), pid);
}
