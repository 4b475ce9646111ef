import { closeSync, openSync } from "node:fs";
import { constants, setns, unshare } from "../../../native/posix/index.ts";

/**
 * Runs something synchronous that starts one child, which is the first process of a pid namespace of its own. This process
 * stays where it is. No thread can be started meanwhile (pid_namespaces(7)).
 */
export function inNewPidNamespace<T>(run: () => T): T {
  const own = openSync("/proc/thread-self/ns/pid", "r");
  try {
    unshare(constants.CLONE_NEWPID);
    try {
      return run();
    } finally {
      setns(own, constants.CLONE_NEWPID);
    }
  } finally {
    closeSync(own);
  }
}
