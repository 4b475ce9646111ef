import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../harness/host.ts";
import { qemusOf } from "../harness/qemu.ts";
import type { Cri } from "./cri.ts";
import { Engine, options, whyNot } from "./engine.ts";
import { Pod } from "./pod.ts";
import { nothingRemains } from "./remains.ts";

let engine: Engine;
let cri: Cri;
before(async () => {
  if (whyNot !== undefined) return;
  engine = await Engine.start();
  cri = engine.cri();
});
after(async () => {
  if (whyNot !== undefined) return;
  cri[Symbol.dispose]();
  await engine.stop();
});

const FOREVER = ["sleep", "1000"];

/** The pod's daemon: the pid of its own container. */
async function daemonOf(pod: Pod): Promise<number> {
  const tasks = await engine.need("-n", "k8s.io", "task", "ls");
  return Number(new RegExp(`^${pod.id}\\s+(\\d+)`, "m").exec(tasks)?.[1]);
}

test("a VM that dies ends every container of its pod with 255, and the pod can be removed", options, async () => {
  {
    await using pod = await Pod.run(engine, cri);
    const containers = [await pod.container("one", FOREVER), await pod.container("two", FOREVER)];
    const [qemu = 0] = qemusOf(await daemonOf(pod));
    process.kill(qemu, "SIGKILL");
    for (const container of containers) assert.equal((await pod.exited(container)).exitCode, 255);
    for (const container of containers) await pod.remove(container);
  }
  await nothingRemains(engine);
});

test("a pod's daemon that is killed leaves nothing once the pod is removed", options, async () => {
  {
    await using pod = await Pod.run(engine, cri);
    const container = await pod.container("one", FOREVER);
    process.kill(await daemonOf(pod), "SIGKILL");
    assert.notEqual((await pod.exited(container)).exitCode, 0);
    await pod.remove(container);
  }
  await nothingRemains(engine);
});

test("containerd that is killed and restarted finds its pods, and their logs go on", options, async () => {
  {
    await using pod = await Pod.run(engine, cri);
    const script = "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.2; done";
    const container = await pod.container("counts", ["sh", "-c", script]);
    await until(() => /line 3/.test(pod.log("counts")));
    await engine.kill();
    await delay(600);
    await engine.run();
    assert.equal((await pod.status(container)).state, "CONTAINER_RUNNING");
    assert.equal(await pod.sh(container, "echo here"), "here");
    const lines = () => pod.log("counts").trim().split("\n");
    const before = lines().length;
    await until(() => lines().length > before);
    assert.deepEqual(lines().slice(0, 3), ["line 1", "line 2", "line 3"]);
    const late = await pod.container("late", FOREVER);
    assert.equal(await pod.sh(late, "hostname"), "pod-host");
  }
  await nothingRemains(engine);
});

test("ten containers in one pod, started and removed at the same time", options, async () => {
  {
    await using pod = await Pod.run(engine, cri);
    const names = Array.from({ length: 10 }, (_, index) => `c${index}`);
    const containers = await Promise.all(names.map((name) => pod.container(name, FOREVER)));
    const shown = await Promise.all(containers.map((container, index) => pod.sh(container, `echo ${index}`)));
    assert.deepEqual(
      shown,
      names.map((_name, index) => String(index)),
    );
    await Promise.all(containers.slice(0, 5).map((container) => pod.remove(container)));
    assert.equal(await pod.sh(containers[9] ?? "", "echo still"), "still");
  }
  await nothingRemains(engine);
});

/** `CAISSON_PODS=50` starts and removes that many. */
const PODS = Number(process.env["CAISSON_PODS"] ?? 4);
/** At the same time. */
const TOGETHER = 5;

test("many pods, several at a time, twice, leave nothing", options, async () => {
  for (let round = 0; round < 2; round++) {
    for (let done = 0; done < PODS; done += TOGETHER) {
      const wanted = Array.from({ length: Math.min(TOGETHER, PODS - done) });
      const start = performance.now();
      const pods = await Promise.all(wanted.map(() => Pod.run(engine, cri)));
      const addresses = await Promise.all(
        pods.map(async (pod) => {
          const container = await pod.container("one", FOREVER);
          const address = await pod.address();
          assert.match(await pod.sh(container, "ip -4 addr show eth0"), new RegExp(`inet ${address}/`));
          return address;
        }),
      );
      assert.equal(new Set(addresses).size, pods.length);
      const started = performance.now();
      await Promise.all(pods.map((pod) => pod[Symbol.asyncDispose]()));
      const seconds = (ms: number) => (ms / 1000).toFixed(1);
      const times = `started in ${seconds(started - start)} s, removed in ${seconds(performance.now() - started)} s`;
      if (PODS > TOGETHER)
        console.log(`round ${round + 1}: ${done + pods.length} pods; the last ${pods.length} ${times}`);
    }
    await nothingRemains(engine);
  }
});
