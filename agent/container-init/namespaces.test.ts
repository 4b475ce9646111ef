import assert from "node:assert/strict";
import { chownSync, existsSync, mkdirSync, readFileSync, readlinkSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { NamespaceType } from "../../protocol/oci.ts";
import { configOf, DEVPTS, exec, lines, NEEDS_ROOT, Rootfs, run, started } from "../../test/harness/agent/trial.ts";

const FILES = { pid: "pid", network: "net", ipc: "ipc", uts: "uts", mount: "mnt", cgroup: "cgroup" };
const FOREVER = { process: { args: ["sleep", "1000"] } };
const ids = (pid: number | "self") => {
  const link = (file: string) => readlinkSync(`/proc/${pid}/ns/${file}`);
  return {
    pid: link("pid"),
    net: link("net"),
    ipc: link("ipc"),
    uts: link("uts"),
    mnt: link("mnt"),
    cgroup: link("cgroup"),
  };
};
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

test("a user namespace maps ids, and its root sets the container up", options, async () => {
  using rootfs = new Rootfs();
  chownSync(rootfs.path, 100000, 100000);
  const maps = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const namespaces = [...Object.keys(FILES), "user"].map((type) => ({ type: type as NamespaceType }));
  const source = rootfs.folder("source");
  const config = configOf(
    "cat /proc/self/uid_map; id -u; id -g; touch /made /data/made; echo x > /dev/null; stat -c %t:%T /dev/null; hostname",
    {
      linux: { namespaces, uidMappings: maps, gidMappings: maps },
      mounts: [{ destination: "/data", type: "bind", source, options: ["rbind"] }],
      process: {
        rlimits: [{ type: "RLIMIT_NOFILE", soft: 64, hard: 64 }],
        user: { uid: 0, gid: 0, additionalGids: [7] },
      },
    },
  );
  chownSync(source, 100000, 100000);
  const result = await run(rootfs, config);
  assert.equal(result.error, undefined);
  const [map, ...rest] = result.stdout.trimEnd().split("\n");
  assert.deepEqual(map?.trim().split(/\s+/), ["0", "100000", "65536"]);
  assert.deepEqual(rest, ["0", "0", "1:3", "trial"]);
  assert.equal(statSync(join(rootfs.path, "made")).uid, 100000);
  assert.equal(statSync(join(source, "made")).uid, 100000);
});

test("a user namespace takes all that a container usually has, and exec joins it", options, async () => {
  using rootfs = new Rootfs();
  chownSync(rootfs.path, 100000, 100000);
  const maps = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const types = [...Object.keys(FILES), "user", "time"] as NamespaceType[];
  const filesystem = (destination: string, type: string, ...given: string[]) => ({
    destination,
    type,
    source: type,
    options: given,
  });
  const config = configOf("", {
    process: { args: ["sleep", "1000"], user: { uid: 33, gid: 33 } },
    config: { root: { path: "", readonly: true } },
    mounts: [
      DEVPTS,
      filesystem("/dev/shm", "tmpfs", "nosuid", "nodev", "mode=1777"),
      filesystem("/dev/mqueue", "mqueue", "nosuid"),
      filesystem("/sys", "sysfs", "ro", "nosuid"),
    ],
    linux: {
      namespaces: types.map((type) => ({ type })),
      uidMappings: maps,
      gidMappings: maps,
      timeOffsets: { boottime: { secs: 5_000_000 } },
      sysctl: { "kernel.shmmni": "77" },
      maskedPaths: ["/proc/keys", "/sys/firmware"],
      readonlyPaths: ["/proc/sys"],
    },
  });
  const { trial, pid } = await started(rootfs, config);
  await using _ = trial;
  const script =
    "id -u; cat /proc/keys /proc/sys/kernel/shmmni; touch /dev/shm/x && echo made; touch /x || echo refused; cat /proc/uptime";
  const { stdout, error } = await exec(config, pid, { args: ["sh", "-c", script], user: { uid: 5, gid: 5 } });
  assert.equal(error, undefined);
  const [uptime, ...rest] = stdout.trimEnd().split("\n").reverse();
  assert.deepEqual(rest.reverse(), ["5", "77", "made", "refused"]);
  assert.ok(Number(uptime?.split(" ")[0]) > 5_000_000);
});

test("a user namespace is joined together with another namespace, and what is new belongs to it", options, async () => {
  using rootfs = new Rootfs();
  chownSync(rootfs.path, 100000, 100000);
  const maps = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const types: NamespaceType[] = ["pid", "mount", "ipc", "uts", "network", "cgroup"];
  const mapping = { uidMappings: maps, gidMappings: maps };
  const first = await started(
    rootfs,
    configOf("", {
      ...FOREVER,
      linux: { namespaces: [...types, "user" as const].map((type) => ({ type })), ...mapping },
    }),
  );
  await using _ = first.trial;
  const namespaces = [
    { type: "user" as const, path: `/proc/${first.pid}/ns/user` },
    { type: "network" as const, path: `/proc/${first.pid}/ns/net` },
    ...types.filter((type) => type !== "network").map((type) => ({ type })),
  ];
  const config = configOf("", { ...FOREVER, linux: { namespaces, ...mapping } });
  const second = await started(rootfs, config);
  await using __ = second.trial;
  assert.equal(readlinkSync(`/proc/${second.pid}/ns/user`), readlinkSync(`/proc/${first.pid}/ns/user`));
  assert.equal(ids(second.pid).net, ids(first.pid).net);
  assert.notEqual(ids(second.pid).pid, ids(first.pid).pid);
  const { stdout, error } = await exec(config, second.pid, { args: ["sh", "-c", "id -u; ps -o pid,args"] });
  assert.equal(error, undefined);
  assert.match(stdout, /^0\n/);
  assert.match(stdout, /^ +1 sleep 1000$/m);
});

test(
  "a user and a pid namespace are joined together: the pid is the one that the supervisor sees",
  options,
  async () => {
    using rootfs = new Rootfs();
    chownSync(rootfs.path, 100000, 100000);
    const maps = [{ containerID: 0, hostID: 100000, size: 65536 }];
    const types: NamespaceType[] = ["mount", "ipc", "uts", "cgroup"];
    const mapping = { uidMappings: maps, gidMappings: maps };
    const made = [...types, "user" as const, "pid" as const].map((type) => ({ type }));
    const first = await started(rootfs, configOf("", { ...FOREVER, linux: { namespaces: made, ...mapping } }));
    await using _ = first.trial;
    for (const withUser of ["joined", "made"]) {
      const joined = [
        { type: "pid" as const, path: `/proc/${first.pid}/ns/pid` },
        { type: "ipc" as const, path: `/proc/${first.pid}/ns/ipc` },
        { type: "user" as const, ...(withUser === "joined" && { path: `/proc/${first.pid}/ns/user` }) },
        ...types.filter((type) => type !== "ipc").map((type) => ({ type })),
      ];
      const config = configOf("", { ...FOREVER, linux: { namespaces: joined, ...mapping } });
      // The kernel has a process join another user's pid namespace, but /proc cannot be mounted for it there.
      if (withUser === "made") config.mounts = [];
      const second = await started(rootfs, config);
      await using __ = second.trial;
      assert.equal(ids(second.pid).pid, ids(first.pid).pid, withUser);
      assert.match(readFileSync(`/proc/${second.pid}/cmdline`, "latin1"), /^sleep\0/);
      const pids = /^NSpid:(.*)$/m
        .exec(readFileSync(`/proc/${second.pid}/status`, "latin1"))?.[1]
        ?.trim()
        .split("\t");
      assert.equal(pids?.[0], String(second.pid));
      assert.equal(pids?.length, 2);
    }
  },
);

test("a new user namespace beside a joined network namespace takes a second fork", options, async () => {
  using rootfs = new Rootfs();
  chownSync(rootfs.path, 100000, 100000);
  const first = await started(rootfs, configOf("", FOREVER));
  await using _ = first.trial;
  const maps = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const namespaces = [
    { type: "network" as const, path: `/proc/${first.pid}/ns/net` },
    ...(["user", "pid", "mount", "ipc", "uts"] as const).map((type) => ({ type })),
  ];
  const config = configOf("id -u; echo $$; readlink /proc/self/ns/net", {
    linux: { namespaces, uidMappings: maps, gidMappings: maps },
  });
  const { stdout, error } = await run(rootfs, config);
  assert.equal(error, undefined);
  assert.deepEqual(stdout.trimEnd().split("\n"), ["0", "1", ids(first.pid).net]);
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
