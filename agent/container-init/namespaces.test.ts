import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { test } from "node:test";
import type { NamespaceType } from "../../protocol/oci.ts";
import { FILES, FOREVER, ids } from "../../test/harness/agent/own-namespaces.ts";
import { configOf, exec, lines, NEEDS_ROOT, Rootfs, run, started } from "../../test/harness/agent/trial.ts";

const KEYS = ["pid", "net", "ipc", "uts", "mnt", "cgroup"] as const;
const options = { skip: NEEDS_ROOT };

test("a created container has namespaces of its own, and its process is pid 1 in them", options, async () => {
  using rootfs = new Rootfs();
  const config = configOf("", FOREVER);
  const { trial, pid } = await started(rootfs, config);
  await using _ = trial;
  const inside = ids(pid);
  const outside = ids("self");
  for (const key of KEYS) assert.notEqual(inside[key], outside[key], key);
  const { stdout } = await exec(config, pid, { args: ["ps", "-o", "pid,args"] });
  assert.match(stdout, /^ +1 sleep 1000$/m);
});

test("a namespace that is not listed is shared", options, async () => {
  using rootfs = new Rootfs();
  const { trial, pid } = await started(
    rootfs,
    configOf("", { ...FOREVER, linux: { namespaces: [{ type: "mount" }] }, config: { hostname: "" } }),
  );
  await using _ = trial;
  const inside = ids(pid);
  const outside = ids("self");
  assert.notEqual(inside.mnt, outside.mnt);
  assert.deepEqual({ ...inside, mnt: "" }, { ...outside, mnt: "" });
});

test("namespaces with a path are joined", options, async () => {
  using rootfs = new Rootfs();
  const first = await started(rootfs, configOf("", FOREVER));
  await using _ = first.trial;
  const joined: NamespaceType[] = ["pid", "network", "ipc", "uts"];
  const namespaces = joined.map((type) => ({
    type,
    path: `/proc/${first.pid}/ns/${FILES[type as keyof typeof FILES]}`,
  }));
  const config = configOf("", {
    ...FOREVER,
    linux: { namespaces: [...namespaces, { type: "mount" }, { type: "cgroup" }] },
  });
  const second = await started(rootfs, config);
  await using __ = second.trial;
  const [one, two] = [ids(first.pid), ids(second.pid)];
  for (const file of ["pid", "net", "ipc", "uts"] as const) assert.equal(two[file], one[file], file);
  for (const file of ["mnt", "cgroup"] as const) assert.notEqual(two[file], one[file], file);
});

test("a time namespace has its offsets", options, async () => {
  using rootfs = new Rootfs();
  const namespaces = [...Object.keys(FILES), "time"].map((type) => ({ type: type as NamespaceType }));
  const timeOffsets = { boottime: { secs: 5_000_000 }, monotonic: { secs: 1, nanosecs: 5 } };
  const [uptime, offsets] = await lines(rootfs, "cat /proc/uptime; grep -c . /proc/self/timens_offsets", {
    linux: { namespaces, timeOffsets },
  });
  const outside = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const shift = Number(uptime?.split(" ")[0]) - outside;
  assert.ok(shift > 4_999_990 && shift < 5_000_010, String(shift));
  assert.equal(offsets, "2");
});

test("the process is born into its cgroup, which is the root of its cgroup namespace", options, async (t) => {
  const hierarchy = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find(
    (path) => existsSync(`${path}/cgroup.procs`) && existsSync(`${path}/cgroup.controllers`),
  );
  if (hierarchy === undefined) return t.skip("the host has no cgroup v2");
  using rootfs = new Rootfs();
  const cgroupPath = `${hierarchy}/caisson-test-${process.pid}`;
  mkdirSync(cgroupPath);
  try {
    const mounts = [{ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid"] }];
    const script = "grep ^0:: /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs; touch /sys/fs/cgroup/x";
    const { stdout, stderr } = await run(rootfs, configOf(script, { mounts }), { cgroupPath });
    const [own, ...pids] = stdout.trimEnd().split("\n");
    assert.equal(own, "0::/");
    assert.ok(pids.includes("1"), stdout);
    assert.match(stderr, /Read-only file system/);
    assert.equal(readFileSync("/proc/self/cgroup", "utf8").includes("caisson-test"), false);
  } finally {
    rmdirSync(cgroupPath);
  }
});

test("a new network namespace has its loopback interface up", options, async () => {
  using rootfs = new Rootfs();
  assert.match((await lines(rootfs, "ifconfig lo")).join("\n"), /UP LOOPBACK RUNNING/);
});

test("hostname, domainname and sysctls belong to the container", options, async () => {
  using rootfs = new Rootfs();
  const script =
    "hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni";
  const changes = {
    config: { hostname: "here", domainname: "example.test" },
    linux: {
      namespaces: Object.keys(FILES).map((type) => ({ type: type as NamespaceType })),
      sysctl: { "net.ipv4.ip_unprivileged_port_start": "80", "kernel/shmmni": "1234" },
    },
  };
  assert.deepEqual(await lines(rootfs, script, changes), ["here", "example.test", "80", "1234"]);
  assert.notEqual(readFileSync("/proc/sys/kernel/shmmni", "utf8").trim(), "1234");
});

test("exec joins every namespace of the container", options, async () => {
  using rootfs = new Rootfs();
  const config = configOf("", FOREVER);
  const { trial, pid } = await started(rootfs, config);
  await using _ = trial;
  const script = KEYS.map((file) => `readlink /proc/self/ns/${file}`).join("; ");
  const { stdout, exit } = await exec(config, pid, { args: ["sh", "-c", `${script}; exit 3`] });
  assert.deepEqual(
    stdout.trimEnd().split("\n"),
    KEYS.map((key) => ids(pid)[key]),
  );
  assert.equal(exit?.exitCode, 3);
});

test("exec into a container that has ended fails and says so", options, async () => {
  using rootfs = new Rootfs();
  const config = configOf("", FOREVER);
  const { trial, pid } = await started(rootfs, config);
  await trial[Symbol.asyncDispose]();
  const { error } = await exec(config, pid, { args: ["true"] });
  assert.equal(
    error?.message,
    `linux.namespaces "pid ${pid}": joining the container's namespaces failed: no such process (ESRCH)`,
  );
});
