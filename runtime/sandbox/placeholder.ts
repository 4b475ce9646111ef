import { closeSync, openSync } from "node:fs";
import { builtFile } from "../../native/addon.ts";
import { pipe, socketpair, spawnProgram } from "../../native/posix/index.ts";
import { adoptChild, type OwnProcess } from "../process/spawn-self.ts";

/**
 * Starts a process that does nothing, in this one's cgroup and network namespace. It ends with its connection, so with this process at
 * the latest, which it does not keep from ending. node:child_process would take 10 ms.
 * @throws the system's error.
 */
export function startPlaceholder(): OwnProcess {
  using theirs = new DisposableStack();
  using ours = new DisposableStack();
  const [own, other] = socketpair();
  ours.adopt(own, closeSync);
  theirs.adopt(other, closeSync);
  const [life, held] = pipe();
  ours.adopt(life, closeSync);
  theirs.adopt(held, closeSync);
  const nothing = theirs.adopt(openSync("/dev/null", "r+"), closeSync);
  const pid = spawnProgram([builtFile("placeholder")], [other, nothing, nothing, held], []);
  ours.move();
  const child = adoptChild(pid, own, life);
  child.unref();
  child.connection.unref();
  child.connection.on("error", () => {});
  return child;
}
