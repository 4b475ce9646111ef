import { spawn } from "node:child_process";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { CaissonError } from "../../../protocol/errors.ts";
import type { SandboxSize } from "../../config/size.ts";
import type { Settings } from "../../config.ts";
import { inCallersNetworkNamespace } from "../../network/namespace.ts";
import { inCallersMountNamespace } from "../../storage/mount-namespace.ts";
import { HostCgroup } from "../cgroup.ts";
import { STANDBY_WORD } from "./word.ts";

/** Of the processes that hold VMs, and of the VMs until they are taken. */
export const STANDBY_CGROUP = "/caisson-standby";

export interface StandbyParams {
  settings: Settings;
  size: SandboxSize;
  /** How many VMs of the shape may stand by. */
  count: number;
}

/** What the holder says when it offers its VM, on its descriptor 3; else why it does not. */
export const READY = "ready";

/**
 * Has one more VM stand by, in a process of its own that outlives this one.
 * @returns resolves once it does. @throws CaissonError CAISSON_E_VM_START with the reason why it does not.
 */
export async function spawnStandby(params: StandbyParams): Promise<void> {
  const answer = await text(start(params, new HostCgroup(STANDBY_CGROUP)));
  if (answer !== READY) {
    const why = answer === "" ? "its process ended without a word" : answer;
    throw new CaissonError("CAISSON_E_VM_START", `no VM could be made to stand by: ${why}`);
  }
}

/** As spawnStandby(), for those who do not wait. */
export function spawnStandbyUnwatched(params: StandbyParams, cgroup: HostCgroup): void {
  start(params, cgroup).destroy();
}

function start(params: StandbyParams, cgroup: HostCgroup): Socket {
  const script = process.argv[1];
  if (script === undefined) throw new CaissonError("CAISSON_E_INTERNAL", "the program's own file is unknown");
  const words = [...process.execArgv, script, STANDBY_WORD, JSON.stringify(params)];
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
