import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Host, until } from "../harness/host.ts";
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

test("a pod's containers share host name, network, IPC and /dev/shm, and not their processes", options, async () => {
  {
    await using pod = await Pod.run(engine, cri);
    const first = await pod.container("first", FOREVER);
    const second = await pod.container("second", ["httpd", "-f", "-p", "8080"]);
    for (const container of [first, second]) assert.equal(await pod.sh(container, "hostname"), "pod-host");
    const links = (kind: string) =>
      Promise.all([first, second].map((id) => pod.sh(id, `readlink /proc/self/ns/${kind}`)));
    for (const kind of ["ipc", "uts", "net"]) {
      const [one, other] = await links(kind);
      assert.equal(one, other, kind);
    }
    for (const kind of ["pid", "mnt"]) {
      const [one, other] = await links(kind);
      assert.notEqual(one, other, kind);
    }
    await pod.sh(first, "echo shared > /dev/shm/note");
    assert.equal(await pod.sh(second, "cat /dev/shm/note"), "shared");
    assert.match(await pod.sh(second, "mount | grep /dev/shm"), /type tmpfs .*size=65536k/);
    assert.match(await pod.sh(first, "ip -4 addr show eth0"), new RegExp(`inet ${await pod.address()}/24`));
    const ask = "wget -O - http://127.0.0.1:8080/etc/passwd 2>&1 || true";
    await until(async () => /root|404/.test(await pod.sh(first, ask)));
    assert.doesNotMatch(await pod.sh(first, "ps"), /httpd/);
    // Without stdin there is its end, and nothing to wait for.
    assert.equal(await pod.sh(first, "cat; echo over"), "over");
  }
  await nothingRemains(engine);
});

test("the host fetches a page from a container at the pod's address", options, async () => {
  await using pod = await Pod.run(engine, cri);
  const server = ["sh", "-c", "echo a page > /tmp/page && exec httpd -f -p 80 -h /tmp"];
  await pod.container("server", server);
  const address = await pod.address();
  await until(
    async () => (await fetch(`http://${address}/page`).then((answer) => answer.text(), String)) === "a page\n",
  );
});

test("a pod with a shared pid namespace sees the processes of all its containers", options, async () => {
  const linux = { securityContext: { namespaceOptions: { pid: "POD" } } };
  await using pod = await Pod.run(engine, cri, linux);
  const first = await pod.container("first", ["sleep", "4321"], { linux });
  const second = await pod.container("second", ["sleep", "1234"], { linux });
  const shown = await pod.sh(second, "ps");
  assert.match(shown, /^ +1 root +\S*\/?(pause|sleep)/m);
  assert.match(shown, /sleep 4321/);
  assert.match(shown, /sleep 1234/);
  await pod.stop(first, 0);
  assert.doesNotMatch(await pod.sh(second, "ps"), /sleep 4321/);
});

test("an ephemeral container sees the processes of the one it was made for", options, async () => {
  await using pod = await Pod.run(engine, cri, { securityContext: { namespaceOptions: { pid: "CONTAINER" } } });
  const target = await pod.container("target", ["sleep", "4321"]);
  await pod.container("other", ["sleep", "1234"]);
  const namespaceOptions = { pid: "TARGET", targetId: target };
  const debug = await pod.container("debug", FOREVER, { linux: { securityContext: { namespaceOptions } } });
  const shown = await pod.sh(debug, "ps");
  assert.match(shown, /^ +1 root +sleep 4321/m);
  assert.doesNotMatch(shown, /sleep 1234|pause/);
});

test(
  "containers come, end and go while others run; logs, exit codes, statistics and limits are each one's own",
  options,
  async () => {
    await using pod = await Pod.run(engine, cri);
    const steady = await pod.container("steady", FOREVER);
    const init = await pod.container("init", ["sh", "-c", "echo prepared; echo complaint >&2; exit 3"]);
    assert.equal((await pod.exited(init)).exitCode, 3);
    assert.deepEqual(pod.log("init").trim().split("\n").sort(), ["complaint", "prepared"]);
    await pod.remove(init);
    const graceful = await pod.container("graceful", [
      "sh",
      "-c",
      "trap 'echo bye; exit 0' TERM; echo ready; while true; do sleep 0.1; done",
    ]);
    await until(() => /ready/.test(pod.log("graceful")));
    await pod.stop(graceful, 60);
    assert.equal((await pod.status(graceful)).exitCode, 0);
    assert.match(pod.log("graceful"), /bye/);

    type Stats = {
      stats: { cpu: { usageCoreNanoSeconds: { value: number } }; memory: { workingSetBytes: { value: number } } };
    };
    const { stats } = await cri.call<Stats>("ContainerStats", { containerId: steady });
    assert.ok(
      stats.cpu.usageCoreNanoSeconds.value > 0 && stats.memory.workingSetBytes.value > 0,
      JSON.stringify(stats),
    );
    await cri.call("UpdateContainerResources", {
      containerId: steady,
      linux: { memoryLimitInBytes: 64 * 1024 * 1024 },
    });
    const { memory } = JSON.parse(await engine.need("-n", "k8s.io", "task", "metrics", "--format", "json", steady));
    assert.equal(memory.usage_limit, 64 * 1024 * 1024);
    assert.equal((await pod.status(steady)).state, "CONTAINER_RUNNING");
  },
);

test("a container that the guest's OOM killer ends is OOMKilled", options, async () => {
  await using pod = await Pod.run(engine, cri);
  const linux = { resources: { memoryLimitInBytes: 24 * 1024 * 1024 } };
  const greedy = await pod.container("greedy", ["sh", "-c", "tail /dev/zero"], { linux });
  const { exitCode, reason } = await pod.exited(greedy);
  assert.notEqual(exitCode, 0);
  assert.equal(reason, "OOMKilled");
});

test("the VM's size is that of the pod's limits, and follows them when the pod is resized", options, async () => {
  const resources = { cpuQuota: 200_000, cpuPeriod: 100_000, memoryLimitInBytes: 700 * 1024 * 1024 };
  await using pod = await Pod.run(engine, cri, { resources });
  const container = await pod.container("any", FOREVER);
  assert.equal(await pod.sh(container, "grep -c ^processor /proc/cpuinfo"), "2");
  const kib = Number(/MemTotal: +(\d+)/.exec(await pod.sh(container, "cat /proc/meminfo"))?.[1]);
  assert.ok(kib > 850 * 1024 && kib < 1024 * 1024, `${kib} KiB`);
  const linux = { memoryLimitInBytes: 1200 * 1024 * 1024 };
  await cri.call("UpdateContainerResources", { containerId: container, linux });
  const grown = Number(/MemTotal: +(\d+)/.exec(await pod.sh(container, "cat /proc/meminfo"))?.[1]);
  assert.ok(grown > 1200 * 1024, `${grown} KiB`);
});

test("metrics, logs and a shell reach the guest of a pod by the engine's id", options, async () => {
  await using pod = await Pod.run(engine, cri);
  await using host = new Host();
  const settings = join(host.root, "settings.toml");
  writeFileSync(settings, 'guest_shell = "on"\n');
  const metrics = await host.ok(["metrics"]);
  const named = `sandbox_id="${pod.id}"`;
  for (const name of ["caisson_sandbox_up", "caisson_guest_up"]) {
    assert.match(metrics, new RegExp(`^${name}\\{[^}]*${named}[^}]*\\} 1$`, "m"));
  }
  assert.match(await host.ok(["logs", pod.id.slice(0, 8)]), /^==> console <==\n[\s\S]*==> agent <==\n/);
  assert.match(
    await host.ok(["--config", settings, "shell", pod.id, "ip", "-4", "addr"]),
    new RegExp(await pod.address()),
  );
});
