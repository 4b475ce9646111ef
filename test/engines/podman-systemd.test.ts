/** podman with its usual cgroup manager, on a host that systemd runs: each container's VM is in a scope of systemd's. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { until } from "../harness/host.ts";
import { cgroupFile, cgroupOf, isActive, property, whyNoSystemd } from "../harness/systemd.ts";
import { Podman, whyNoPodman } from "./podman.ts";

const skip = whyNoSystemd() ?? whyNoPodman();
const options = { skip: skip ?? false };
const MIB = 1024 * 1024;
let podman: Podman;
before(async () => {
  if (skip === undefined) podman = await Podman.start(undefined, "systemd");
});
after(async () => {
  if (skip === undefined) await podman[Symbol.asyncDispose]();
});

test("podman run with systemd's cgroups: a scope with the limits, which ends with the container", options, async () => {
  await podman.start("scope", ["--memory", "64m", "--pids-limit", "50"], "sleep", "1000");
  const id = await podman.inspect("scope", "{{.Id}}");
  const unit = `libpod-${id}.scope`;
  const path = `/machine.slice/${unit}`;
  assert.equal(cgroupOf(Number(await podman.inspect("scope", "{{.State.Pid}}"))), path);
  assert.ok(isActive(unit));
  assert.equal(property(unit, "Slice"), "machine.slice");
  assert.equal(property(unit, "Delegate"), "yes");
  // The container's own are in the guest; the host's leave room for the VM.
  assert.equal(await podman.ok(["exec", "scope", "cat", "/sys/fs/cgroup/memory.max"]), `${64 * MIB}\n`);
  assert.equal(await podman.ok(["exec", "scope", "cat", "/sys/fs/cgroup/pids.max"]), "50\n");
  assert.match(cgroupFile(path, "cgroup.procs"), /^\d+\n\d+/);
  await podman.ok(["update", "--memory", "80m", "scope"]);
  assert.equal(await podman.ok(["exec", "scope", "cat", "/sys/fs/cgroup/memory.max"]), `${80 * MIB}\n`);
  await podman.ok(["rm", "--force", "--time", "0", "scope"]);
  await until(() => !isActive(unit));
  assert.equal(existsSync(`/sys/fs/cgroup${path}`), false);
});

test("podman run --systemd always on such a host", options, async () => {
  const script =
    "mkdir /sys/fs/cgroup/init.scope && echo 1 > /sys/fs/cgroup/init.scope/cgroup.procs && cat /proc/1/cgroup";
  assert.equal(await podman.print(["--systemd", "always"], "sh", "-c", script), "0::/init.scope\n");
});
