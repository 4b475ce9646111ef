import assert from "node:assert/strict";
import { chownSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { NamespaceType } from "../../protocol/oci.ts";
import { FILES, FOREVER, ids } from "../../test/harness/agent/own-namespaces.ts";
import { configOf, DEVPTS, exec, NEEDS_ROOT, Rootfs, run, started } from "../../test/harness/agent/trial.ts";

const options = { skip: NEEDS_ROOT };

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
