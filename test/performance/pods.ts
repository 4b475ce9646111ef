import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Engine, whyNot } from "../containerd/engine.ts";
import { Pod } from "../containerd/pod.ts";
import { PROGRAM } from "../harness/host.ts";
import type { Commands } from "./command.ts";
import type { Figures } from "./figures.ts";
import { companionsOf, pss } from "./process.ts";
import { POD_CROWDS } from "./things.ts";

const HANDLERS = ["caisson", "runc"] as const;
const POLL_MS = 1;
const LIMIT_MS = 60_000;
/** What a start leaves behind has been given back. */
const SETTLE_MS = 3000;

/**
 * Pods of a containerd through its CRI, each with a network of CNI's bridge: their start with our runtime and with runc's,
 * and what ours use when they are idle. Needs what `make test-engines` installs.
 */
export async function measurePods(
  figures: Figures,
  runs: number,
  commands: Commands,
  signal: AbortSignal,
  progress: (text: string) => void,
): Promise<void> {
  if (whyNot !== undefined) {
    progress(`no pods: ${whyNot} (make test-engines installs it)`);
    return;
  }
  // With its fork server, which is made while the first pods run otherwise.
  await commands.time([PROGRAM, "template", "build"], { signal });
  const engine = await Engine.start({ restrictOomScores: true });
  const cri = engine.cri();
  try {
    // Warms the caches.
    for (const handler of HANDLERS) await timeStart(engine, cri, handler);
    for (let run = 0; run < runs; run++) {
      progress(`pods: run ${run + 1} of ${runs}`);
      for (const handler of HANDLERS) {
        signal.throwIfAborted();
        figures.add("pod", handler, await timeStart(engine, cri, handler));
      }
    }
    progress("pods that only sleep");
    await weigh(engine, cri, figures, signal);
  } finally {
    cri[Symbol.dispose]();
    await engine.stop();
  }
}

type Cri = ReturnType<Engine["cri"]>;

/** @returns seconds from RunPodSandbox to the first byte that the pod's container has written, in its log. */
async function timeStart(engine: Engine, cri: Cri, handler: string): Promise<number> {
  const start = performance.now();
  await using pod = await Pod.run(engine, cri, {}, {}, handler);
  await pod.container("first", ["sh", "-c", "echo first; exec sleep 1000"]);
  while (size(pod.logPath("first")) === 0) {
    if (performance.now() > start + LIMIT_MS) throw new Error(`The pod's container (${handler}) says nothing.`);
    await sleep(POLL_MS);
  }
  return (performance.now() - start) / 1000;
}

function size(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Everything on the host that a pod has beside containerd: its daemon, QEMU, and what stands for its containers. */
async function weigh(engine: Engine, cri: Cri, figures: Figures, signal: AbortSignal): Promise<void> {
  await using pods = new AsyncDisposableStack();
  const daemons: number[] = [];
  for (const count of POD_CROWDS) {
    while (daemons.length < count) {
      signal.throwIfAborted();
      const pod = pods.use(await Pod.run(engine, cri));
      await pod.container("idle", ["sleep", "100000"]);
      daemons.push(await engine.pid(pod.id, "k8s.io"));
    }
    await sleep(SETTLE_MS, undefined, { signal });
    const weights = daemons.map((pid) => [pid, ...companionsOf(pid)].reduce((sum, each) => sum + pss(each), 0));
    figures.add(`pod-pss-${count}`, "caisson", ...weights);
  }
}
