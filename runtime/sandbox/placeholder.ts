import { builtFile } from "../../native/addon.ts";
import { type OwnProcess, startChild } from "../process/spawn-self.ts";

/**
 * Starts a process that does nothing, in this one's cgroup and network namespace. It ends with its connection, so with this process at
 * the latest, which it does not keep from ending. node:child_process would take 10 ms.
 * @throws the system's error.
 */
export function startPlaceholder(): OwnProcess {
  const child = startChild([builtFile("placeholder")], "ignore");
  child.unref();
  child.connection.unref();
  child.connection.on("error", () => {});
  return child;
}
