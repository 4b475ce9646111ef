import type { ChildProcess, SpawnOptions } from "node:child_process";
import type { Socket } from "node:net";
import { CaissonError } from "../../protocol/errors.ts";
import type { Role } from "./roles.ts";

/** The descriptor by which a process of ours finds its connection with the one that started it. */
export const STARTER_FD = 3;

export interface OwnProcess {
  child: ChildProcess;
  /** The other end of the child's STARTER_FD. */
  connection: Socket;
}

/**
 * Starts this program in a role, in a session of its own and with the root directory as its working directory, so that it
 * may outlive the caller and holds no mount of the caller's.
 * @param parameters what the role takes; JSON can say it.
 * @param stdio "inherit" gives the child our standard streams.
 * @throws CaissonError CAISSON_E_INTERNAL when the program's own file is unknown. A child that could not be started says so
 *   by its event "error".
 */
export function spawnSelf(role: Role, parameters: unknown, stdio: "inherit" | "ignore"): OwnProcess {
  const script = process.argv[1];
  if (script === undefined) throw new CaissonError("CAISSON_E_INTERNAL", "the program's own file is unknown");
  const options: SpawnOptions = { stdio: [stdio, stdio, stdio, "pipe"], detached: true, cwd: "/" };
  // Loading it takes 8 ms, which processes that start no other do not spend.
  const { spawn } = process.getBuiltinModule("node:child_process");
  const child = spawn(process.execPath, [...process.execArgv, script, role, JSON.stringify(parameters)], options);
  return { child, connection: child.stdio[STARTER_FD] as Socket };
}
