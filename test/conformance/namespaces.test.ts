/** config-linux.md, what Debian's runc does not know: time namespaces, personality, and scheduling from the start. */
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("time offsets, personality, propagation, scheduling and cgroup of the first process", async () => {
  const script = [
    "cat /proc/self/timens_offsets",
    "uname -m",
    "cut -d' ' -f19,40,41 /proc/$$/stat; ionice -p $$",
    "cat /proc/self/cgroup; cat /proc/self/oom_score_adj",
    "grep ' / rw' /proc/self/mountinfo | grep -o shared",
    "test $(cut -d. -f1 /proc/uptime) -gt 100000000 && echo later",
  ];
  using bundle = new Bundle(["sh", "-c", script.join("; ")]);
  for (const applet of ["cut", "ionice"]) symlinkSync("busybox", join(bundle.rootfs, "bin", applet));
  Object.assign(bundle.process, {
    scheduler: { policy: "SCHED_BATCH", nice: 5 },
    ioPriority: { class: "IOPRIO_CLASS_IDLE" },
    oomScoreAdj: 77,
    execCPUAffinity: { initial: "0" },
  });
  const linux = bundle.spec.linux ?? {};
  linux.namespaces?.push({ type: "time" });
  Object.assign(linux, {
    timeOffsets: { monotonic: { secs: 5, nanosecs: 7 }, boottime: { secs: 100_000_000 } },
    personality: { domain: "LINUX32" },
    rootfsPropagation: "shared",
    cgroupsPath: "/caisson-conformance/a:b",
  });
  bundle.write();
  const lines = (await host.ok(["run", "--bundle", bundle.directory, host.id()])).trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => line.trim().replace(/\s+/g, " ")),
    ["monotonic 5 7", "boottime 100000000 0", "i686", "5 0 3", "idle", "0::/", "77", "shared", "later"],
  );
});

test("a user namespace without a cgroup namespace has the sandbox's cgroups", async () => {
  using bundle = new Bundle(["sh", "-c", "cat /proc/self/uid_map; cat /sys/fs/cgroup/cgroup.controllers"]);
  const mappings = [{ containerID: 0, hostID: 0, size: 4_294_967_295 }];
  Object.assign(bundle.spec.linux ?? {}, {
    namespaces: ["pid", "network", "ipc", "uts", "mount", "user"].map((type) => ({ type })),
    uidMappings: mappings,
    gidMappings: mappings,
  });
  const mounts = bundle.spec.mounts?.filter(({ type }) => type !== "cgroup") ?? [];
  mounts.push({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] });
  bundle.spec.mounts = mounts;
  bundle.write();
  const { stdout, stderr } = await host.run(["run", "--bundle", bundle.directory, host.id()]);
  assert.match(stdout, /^ *0 +0 +4294967295\n.*memory/, stderr);
});

test("a user namespace whose ids begin elsewhere", async () => {
  const script =
    "id -u; cat /proc/self/uid_map; stat -c %u:%g /mine; touch /mine/x && stat -c %u /mine/x; echo x > /dev/null";
  using bundle = new Bundle(["sh", "-c", script]);
  // The root belongs to an id that has no name in there, so nothing can be made in it.
  mkdirSync(join(bundle.rootfs, "mine"));
  const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  bundle.spec.mounts?.push({ destination: "/mine", type: "tmpfs", source: "tmpfs" });
  Object.assign(bundle.spec.linux ?? {}, {
    namespaces: [...(bundle.spec.linux?.namespaces ?? []), { type: "user" }],
    uidMappings: mappings,
    gidMappings: mappings,
  });
  bundle.write();
  const { stdout, stderr } = await host.run(["run", "--bundle", bundle.directory, host.id()]);
  assert.deepEqual(stdout.trim().split(/\s+/), ["0", "0", "100000", "65536", "0:0", "0"], stderr);
});

test("a namespace of the host cannot be joined", async () => {
  for (const type of ["pid", "ipc", "uts", "mount", "user", "cgroup", "time"] as const) {
    using bundle = new Bundle(["true"]);
    const others = bundle.spec.linux?.namespaces?.filter((each) => each.type !== type) ?? [];
    Object.assign(bundle.spec.linux ?? {}, { namespaces: [...others, { type, path: `/proc/1/ns/${type}` }] });
    bundle.write();
    const result = await host.run(["run", "--bundle", bundle.directory, host.id()]);
    assert.equal(result.exitCode, 1);
    assert.match(errorOf(result), /a namespace of the host cannot be joined from inside a VM/);
  }
});
