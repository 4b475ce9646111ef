import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Status } from "../../protocol/generated/containerd/types.ts";
import { StatusCode } from "../../runtime/ttrpc/status.ts";
import { until } from "../harness/host.ts";
import { Netns } from "../harness/network.ts";
import { qemusOf } from "../harness/qemu.ts";
import { CrioPod } from "./crio.ts";

const SIGKILL = 9;
const FOREVER = ["sleep", "1000"];

test("CRI-O's calls for a pod: namespaces bound to files, roots that it has mounted, and no events", async () => {
  using netns = new Netns();
  const before = await netns.settled();
  await using pod = new CrioPod(netns);
  const own = await pod.create("pod", FOREVER);
  await pod.start(own);
  const ended = pod.wait(own);
  assert.equal(qemusOf(pod.pid).length, 1);
  assert.equal((await pod.state(own)).pid, pod.pid);

  const one = await pod.create("one", ["sh", "-c", "hostname; echo from one > /dev/shm/note; exec sleep 1000"]);
  assert.equal((await pod.state(one)).status, Status.CREATED);
  await pod.start(one);
  const oneEnded = pod.wait(one);
  await pod.kill(one, 0);
  const two = await pod.create("two", ["sh", "-c", "exit 3"]);
  await pod.start(two);
  assert.equal(await pod.wait(two), 3);
  await assert.rejects(pod.kill(two, 0), { code: StatusCode.notFound });
  const { status, exitStatus, bundle } = await pod.state(two);
  assert.deepEqual([status, exitStatus, bundle], [Status.STOPPED, 3, two.bundle.directory]);
  await pod.remove(two);

  const links = ["stat", "-L", "-c", "%n %i", "/proc/self/ns/ipc", "/proc/self/ns/uts", "/proc/self/ns/net"];
  assert.equal(await pod.exec(one, "links-one", ...links), await pod.exec(own, "links-own", ...links));
  let notes = 0;
  await until(
    async () => (await pod.exec(own, `note${++notes}`, "sh", "-c", "cat /dev/shm/note || true")) === "from one\n",
  );
  await until(() => readFileSync(one.output, "utf8") === "crio-pod\n");
  assert.equal(await pod.exec(one, "name", "hostname"), "crio-pod\n");

  await pod.kill(one, SIGKILL);
  assert.equal(await oneEnded, 128 + SIGKILL);
  await pod.remove(one);
  await pod.kill(own, SIGKILL);
  assert.equal(await ended, 128 + SIGKILL);
  await pod.remove(own);
  assert.equal(await pod.gone(), true);
  await netns.returnsTo(before);
});

test("CRI-O finds a file in the bundle of a container that was killed for its memory", async () => {
  using netns = new Netns();
  await using pod = new CrioPod(netns);
  const own = await pod.create("pod", FOREVER);
  await pod.start(own);
  const greedy = await pod.create("greedy", ["tail", "/dev/zero"], (spec) => {
    spec.linux = { ...spec.linux, resources: { memory: { limit: 24 * 1024 * 1024 } } };
  });
  await pod.start(greedy);
  assert.equal(await pod.wait(greedy), 128 + SIGKILL);
  assert.equal(existsSync(join(greedy.bundle.directory, "oom")), true);
  assert.equal(existsSync(join(own.bundle.directory, "oom")), false);
  await pod.remove(greedy);
  await pod.kill(own, SIGKILL);
  await pod.wait(own);
  await pod.remove(own);
  assert.equal(await pod.gone(), true);
});

test("what a killed daemon of CRI-O has left goes with the next start, as nobody else removes it", async () => {
  using netns = new Netns();
  const before = await netns.settled();
  await using killed = new CrioPod(netns);
  const own = await killed.create("pod", FOREVER);
  await killed.start(own);
  assert.notDeepEqual(killed.cgroups, []);
  const waiting = killed.wait(own);
  waiting.catch(() => {});
  process.kill(killed.pid, "SIGKILL");
  await assert.rejects(waiting, { code: StatusCode.unavailable });
  using other = new Netns();
  await using next = new CrioPod(other);
  const nextOwn = await next.create("pod", FOREVER);
  assert.equal(existsSync(killed.stateFolder), false);
  await until(() => killed.cgroups.length === 0);
  await netns.returnsTo(before);
  await next.start(nextOwn);
  await next.kill(nextOwn, SIGKILL);
  await next.wait(nextOwn);
  await next.remove(nextOwn);
  assert.equal(await next.gone(), true);
});
