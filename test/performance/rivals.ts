import { Engine } from "./engine.ts";
import type { Workspace } from "./workspace.ts";

/** A way to call another runtime. */
interface Way {
  argv: readonly string[];
  /** What is different about it, for the report. */
  note: string;
}

const RIVALS = ["runc", "crun"] as const;

/** A host with cgroup v1 and v2 at once stops crun 1.8; where it sees only v1 it works. That takes it some ms longer. */
function waysOf(name: string): Way[] {
  const withoutV2 = 'umount /sys/fs/cgroup/unified; exec "$0" "$@"';
  return [
    { argv: [name], note: "" },
    {
      argv: ["unshare", "--mount", "--propagation", "private", "sh", "-c", withoutV2, name],
      note: ", called through unshare(1) and without cgroup v2, since it refuses a hybrid hierarchy",
    },
  ];
}

export interface RivalEngine {
  engine: Engine;
  note: string;
}

/** The runtimes without a VM that can run a container on this host; `undone` takes each in, to clean up after it. */
export async function usableRivals(
  workspace: Workspace,
  rootfs: string,
  signal: AbortSignal,
  undone: AsyncDisposableStack,
): Promise<RivalEngine[]> {
  const usable: RivalEngine[] = [];
  for (const name of RIVALS) {
    for (const { argv, note } of waysOf(name)) {
      const engine = undone.use(new Engine(name, argv, workspace, signal));
      try {
        await engine.run(engine.bundle("probe", rootfs, ["true"]));
        usable.push({ engine, note });
        break;
      } catch {
        signal.throwIfAborted();
      }
    }
  }
  return usable;
}
