import assert from "node:assert/strict";
import { test } from "node:test";
import { cgroupMounts, hostCgroupPath } from "./cgroup.ts";

test("cgroupMounts finds the unified hierarchy first and v1 controllers by their mount", () => {
  const mountinfo = [
    "30 24 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755",
    "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct",
    "32 30 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
    "",
  ].join("\n");
  assert.deepEqual(cgroupMounts(mountinfo), [
    { kind: "v2", directory: "/sys/fs/cgroup/unified" },
    { kind: "cpu,cpuacct", directory: "/sys/fs/cgroup/cpu,cpuacct" },
  ]);
});

test("hostCgroupPath keeps a relative path below the root and takes systemd's form", () => {
  assert.equal(hostCgroupPath("a", undefined), "/caisson/a");
  assert.equal(hostCgroupPath("a", "/libpod_parent/libpod-a"), "/libpod_parent/libpod-a");
  assert.equal(hostCgroupPath("a", "../../x"), "/x");
  assert.throws(() => hostCgroupPath("a", "/x/.."), { code: "CAISSON_E_CONFIG_INVALID" });
  assert.equal(hostCgroupPath("a", "system.slice:docker:a"), "/system.slice/docker-a.scope");
  assert.equal(hostCgroupPath("a", "", true), "/system.slice/caisson-a.scope");
  assert.throws(() => hostCgroupPath("a", "/x/y", true), { field: "linux.cgroupsPath" });
});
