import assert from "node:assert/strict";
import { test } from "node:test";
import { runInSteadyVm } from "./outer-vm.ts";

const LIMIT_MS = 1_800_000;

for (const { title, name, systemd, files } of [
  {
    // The VM's processor has protection keys and page tables of five levels, which snapshots have to live with.
    title: "the main job with KVM, vhost_vsock and vhost_net; snapshots",
    name: "kvm",
    systemd: false,
    files: ["native/snapshot/snapshot.test.ts", "test/vsock/inside/kvm.test.ts"],
  },
  {
    title: "podman and containerd with KVM, cgroup v2 alone and systemd's cgroups",
    name: "systemd",
    systemd: true,
    files: ["test/engines/podman-systemd.test.ts", "test/containerd/systemd.test.ts"],
  },
]) {
  test(title, async (t) => {
    const job = `exec test/vsock/inside/job.sh ${files.join(" ")}`;
    const tell = (message: string) => t.diagnostic(message);
    const { exitStatus, output } = await runInSteadyVm(job, { name, systemd, timeoutMs: LIMIT_MS }, tell);
    for (const line of output.trim().split("\n")) t.diagnostic(line);
    assert.equal(exitStatus, 0, output);
  });
}
