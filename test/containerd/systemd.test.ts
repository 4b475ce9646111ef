/** Pods as a kubelet asks for them whose cgroup driver is systemd's: below a slice. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { until } from "../harness/host.ts";
import { cgroupOf, isActive, whyNoSystemd } from "../harness/systemd.ts";
import { Engine, whyNot } from "./engine.ts";
import { Pod } from "./pod.ts";
import { nothingRemains } from "./remains.ts";

const skip = whyNoSystemd() ?? whyNot;
const options = { skip: skip ?? false };
const SLICE = "kubepods-burstable-podtest.slice";
const FOLDER = `/kubepods.slice/kubepods-burstable.slice/${SLICE}`;
let engine: Engine;
before(async () => {
  if (skip === undefined) engine = await Engine.start();
});
after(async () => {
  if (skip === undefined) await engine.stop();
});

test("a pod below a slice of systemd's: its VM is in a scope there, which ends with the pod", options, async () => {
  using cri = engine.cri();
  let unit: string;
  {
    await using pod = await Pod.run(engine, cri, { cgroupParent: SLICE });
    unit = `cri-containerd-${pod.id}.scope`;
    assert.equal(cgroupOf(await engine.pid(pod.id, "k8s.io")), `${FOLDER}/${unit}`);
    assert.ok(isActive(unit));
    const container = await pod.container("one", ["sleep", "1000"]);
    assert.equal(await pod.sh(container, "echo in the pod"), "in the pod");
  }
  await until(() => !isActive(unit));
  assert.equal(existsSync(`/sys/fs/cgroup${FOLDER}/${unit}`), false);
  await nothingRemains(engine);
});
