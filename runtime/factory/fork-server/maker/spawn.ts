import { closeSync } from "node:fs";
import { text } from "node:stream/consumers";
import { CaissonError } from "../../../../protocol/errors.ts";
import { SharedCgroup } from "../../../cgroup/cgroup.ts";
import type { Settings } from "../../../config/load.ts";
import type { SandboxSize } from "../../../config/size.ts";
import { callersPlace } from "../../../process/callers.ts";
import { type OwnProcess, spawnSelf } from "../../../process/spawn-self.ts";
import { MAKERS_CGROUP } from "../../deferred.ts";
import { lockForkServer } from "./lock.ts";

/** What the VMs that it is for are made of. */
export interface ForkServerParams {
  settings: Settings;
  size: SandboxSize;
  /** How many network devices they have. */
  devices: number;
}

/** What the maker says on its descriptor 3 when it is done; else why it is not. */
export const DONE = "done";

/** Beyond the maker's own limit, for it to say why it gives up. */
const MARGIN_MS = 15_000;

/**
 * Makes a fork server in a process of its own, unless there is one or another process is about to.
 * @returns resolves once it is made.
 * @throws CaissonError CAISSON_E_VM_START with the reason why it cannot be; the signal's reason. The maker is ended then.
 */
export async function spawnMaker(
  params: ForkServerParams,
  { signal, limitMs }: { signal: AbortSignal; limitMs: number },
): Promise<void> {
  const maker = start(params, new SharedCgroup(MAKERS_CGROUP));
  const end = () => {
    maker.kill();
    maker.connection.destroy();
  };
  const limit = setTimeout(end, limitMs + MARGIN_MS);
  signal.addEventListener("abort", end);
  try {
    const answer = await text(maker.connection).catch(() => "");
    signal.throwIfAborted();
    if (answer !== DONE) {
      const why = answer === "" ? "its maker ended without a word, or took too long" : answer;
      throw new CaissonError("CAISSON_E_VM_START", `the template has no fork server: ${why}`);
    }
  } finally {
    clearTimeout(limit);
    signal.removeEventListener("abort", end);
  }
}

/** What does as spawnMaker() does, for those who do not wait. @throws when the template has been removed. */
export function forkServerMaker(params: ForkServerParams, templateFolder: string): () => void {
  // Made early: later on this process stands for its container, in whose mount namespace there are no cgroups.
  const cgroup = new SharedCgroup(MAKERS_CGROUP);
  return () => {
    const lock = lockForkServer(templateFolder);
    if (lock === undefined) return;
    closeSync(lock);
    start(params, cgroup).connection.destroy();
  };
}

function start(params: ForkServerParams, cgroup: SharedCgroup): OwnProcess {
  const maker = spawnSelf("make-fork-server", params, "ignore", callersPlace());
  maker.connection.on("error", () => {});
  maker.unref();
  // At once, before it has threads and children: it is no part of the sandbox that started it.
  cgroup.make();
  cgroup.adopt([maker.pid]);
  return maker;
}
