import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { CaissonError } from "../../../protocol/errors.ts";
import type { SandboxSize } from "../../config/size.ts";
import type { Settings } from "../../config.ts";
import { inCallersNetworkNamespace } from "../../network/namespace.ts";
import { inCallersMountNamespace } from "../../storage/mount-namespace.ts";
import { HostCgroup } from "../cgroup.ts";
import { FORK_SERVER_WORD } from "./word.ts";

/** Of the fork servers, and of the processes that make them. */
export const FORK_SERVER_CGROUP = "/caisson-fork-server";

/** What the VMs that it is for are made of. */
export interface ForkServerParams {
  settings: Settings;
  size: SandboxSize;
  /** How many network devices they have. */
  devices: number;
}

/** What the maker says on its descriptor 3 when it is done; else why it is not. */
export const DONE = "done";

/**
 * Makes a fork server in a process of its own, unless there is one or another process is about to.
 * @returns resolves once it is made. @throws CaissonError CAISSON_E_VM_START with the reason why it cannot be.
 */
export async function spawnMaker(params: ForkServerParams): Promise<void> {
  const answer = await text(start(params, new HostCgroup(FORK_SERVER_CGROUP)));
  if (answer !== DONE) {
    const why = answer === "" ? "its maker ended without a word" : answer;
    throw new CaissonError("CAISSON_E_VM_START", `the template has no fork server: ${why}`);
  }
}

/** As spawnMaker(), for those who do not wait. */
export function spawnMakerUnwatched(params: ForkServerParams, cgroup: HostCgroup): void {
  start(params, cgroup).destroy();
}

function start(params: ForkServerParams, cgroup: HostCgroup): Socket {
  const script = process.argv[1];
  if (script === undefined) throw new CaissonError("CAISSON_E_INTERNAL", "the program's own file is unknown");
  const words = [...process.execArgv, script, FORK_SERVER_WORD, JSON.stringify(params)];
  const { spawn } = process.getBuiltinModule("node:child_process");
  const child = inCallersMountNamespace(() =>
    inCallersNetworkNamespace(() =>
      spawn(process.execPath, words, { stdio: ["ignore", "ignore", "ignore", "pipe"], detached: true, cwd: "/" }),
    ),
  );
  const line = child.stdio[3] as Socket;
  line.on("error", () => {});
  child.once("error", () => line.destroy());
  child.unref();
  // At once, before it has threads and children: it is no part of the sandbox that started it.
  cgroup.make();
  cgroup.adopt([child.pid ?? 0]);
  return line;
}
