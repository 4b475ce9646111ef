import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { after, afterEach, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { collect, detached, Host, until } from "../harness/host.ts";
import { ScratchNamespace } from "../harness/namespaces.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.clear());

/** The container that stands for a pod, as CRI engines mark it. */
function podBundle(...args: string[]): Bundle {
  const bundle = new Bundle(args.length === 0 ? ["sleep", "1000"] : args);
  bundle.spec.annotations = { "io.kubernetes.cri-o.ContainerType": "sandbox" };
  bundle.spec.hostname = "the-pod";
  return bundle.write();
}

/** A container that joins namespaces of a container by its pid, as engines write it. */
function joining(pid: number, types: Record<string, string>, ...args: string[]): Bundle {
  const bundle = new Bundle(args);
  delete bundle.spec.hostname;
  const { linux } = bundle.spec;
  bundle.spec.linux = {
    ...linux,
    namespaces: (linux?.namespaces ?? []).map(({ type }) =>
      types[type] === undefined ? { type } : { type, path: `/proc/${pid}/ns/${types[type]}` },
    ),
  };
  return bundle.write();
}

const OF_PODS = { network: "net", ipc: "ipc", uts: "uts" };

async function pidOf(id: string): Promise<number> {
  return (JSON.parse(await host.ok(["state", id])) as { pid: number }).pid;
}

function daemons(): number {
  return host.leftovers().filter((line) => /^process \d+: .*sandbox-daemon/.test(line)).length;
}

test("create with namespaces of another container's pid: one VM, and every verb", async () => {
  using first = podBundle();
  const pod = await host.start(first);
  const pid = await pidOf(pod);
  using second = joining(pid, OF_PODS, "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done");
  const member = await host.start(second);
  assert.equal(host.leftovers().filter((line) => /^process \d+: \S*qemu-system/.test(line)).length, 1);
  assert.notEqual(await pidOf(member), pid);
  assert.equal(readlinkSync(`/proc/${await pidOf(member)}/ns/net`), readlinkSync(`/proc/${pid}/ns/net`));

  assert.equal(await host.ok(["exec", member, "hostname"]), "the-pod\n");
  const spaces = ["ls", "-l", "/proc/self/ns/net", "/proc/self/ns/ipc", "/proc/self/ns/uts"];
  const targets = async (id: string) => (await host.ok(["exec", id, ...spaces])).match(/\w+:\[\d+\]/g);
  assert.deepEqual(await targets(member), await targets(pod));
  assert.notEqual(
    await host.ok(["exec", member, "sh", "-c", "ls -di /"]),
    await host.ok(["exec", pod, "ls", "-di", "/"]),
  );
  const server = host.spawn(["exec", pod, "nc", "-l", "-p", "80", "-e", "echo", "of the pod"]);
  const served = collect(server);
  await until(async () => (await host.run(["exec", member, "nc", "127.0.0.1", "80"])).stdout === "of the pod\n");
  await served;

  assert.match(await host.ok(["list", "--quiet"]), new RegExp(`${pod}\n${member}\n`));
  assert.deepEqual(JSON.parse(await host.ok(["ps", "--format", "json", member])), [await pidOf(member)]);
  assert.match(await host.ok(["ps", member]), /sh -c trap/);
  await host.ok(["pause", member]);
  assert.equal(await host.status(member), "paused");
  assert.equal(await host.status(pod), "running");
  await host.ok(["resume", member]);
  await host.ok(["update", "--pids-limit", "77", member]);
  const { data } = JSON.parse(await host.ok(["events", "--stats", member])) as { data: { pids: { limit: number } } };
  assert.equal(data.pids.limit, 77);

  // The member ends with its own exit code, and the VM stays.
  await host.ok(["kill", member, "TERM"]);
  await host.stopped(member);
  assert.equal(JSON.parse(readFileSync(`${host.root}/${member}/state.json`, "utf8")).exitCode, 3);
  await host.ok(["delete", member]);
  assert.equal(await host.ok(["exec", pod, "echo", "still there"]), "still there\n");
  await host.ok(["delete", "--force", pod]);
  assert.deepEqual(await host.remains(), []);
});

test("run with namespaces of another container: its streams, and its exit code", async () => {
  using first = new Bundle();
  const id = await host.start(first);
  using second = joining(await pidOf(id), { network: "net" }, "sh", "-c", "cat; echo err >&2; exit 7");
  const result = await host.run(["run", "--bundle", second.directory, host.id()], { input: "in\n" });
  assert.deepEqual(result, { exitCode: 7, stdout: "in\n", stderr: "err\n" });
  await host.ok(["delete", "--force", id]);
  assert.deepEqual(await host.remains(), []);
});

test("what a container that joins another one's VM cannot have is named, and the VM has nothing of it", async () => {
  using first = new Bundle();
  const id = await host.start(first);
  const pid = await pidOf(id);
  using elsewhere = new ScratchNamespace();
  using apart = joining(pid, { ipc: "ipc" }, "true");
  const network = apart.spec.linux?.namespaces?.find(({ type }) => type === "network");
  assert.ok(network !== undefined);
  network.path = elsewhere.path;
  using without = joining(pid, { network: "net" }, "true");
  without.spec.mounts?.push({ destination: "/mnt", type: "bind", source: "/nowhere/at/all", options: ["bind"] });
  for (const [bundle, problem] of [
    [apart.write(), /linux\.namespaces\[network\]\.path: .* is not the network namespace of this sandbox/],
    [without.write(), /\/nowhere\/at\/all cannot be bound into the container/],
  ] as const) {
    const { exitCode, stderr } = await host.run(["run", "--bundle", bundle.directory, host.id()]);
    assert.match(stderr, problem);
    assert.equal(exitCode, 1);
  }
  using third = joining(pid, { network: "net" }, "echo", "joined");
  assert.equal(await host.ok(["run", "--bundle", third.directory, host.id()]), "joined\n");
  await host.ok(["delete", "--force", id]);
  assert.deepEqual(await host.remains(), []);
});

test("a pod lives until its last container has ended, whichever that is", async () => {
  using first = podBundle();
  const pod = await host.start(first);
  using second = joining(await pidOf(pod), OF_PODS, "sleep", "1000");
  const member = await host.start(second);
  await host.ok(["kill", pod, "KILL"]);
  await host.stopped(pod);
  await host.ok(["delete", pod]);
  assert.equal(await host.ok(["exec", member, "hostname"]), "the-pod\n");
  await host.ok(["delete", "--force", member]);
  await until(() => host.leftovers().length === 0);
});

test("the VM of a container of its own ends with it, and takes those along that have joined it", async () => {
  using first = new Bundle();
  const id = await host.start(first);
  using second = joining(await pidOf(id), { network: "net" }, "sleep", "1000");
  const member = await host.start(second);
  await host.ok(["kill", id, "KILL"]);
  await host.stopped(member);
  for (const each of [id, member]) await host.ok(["delete", each]);
  assert.deepEqual(await host.remains(), []);
});

for (const whose of ["monitor", "daemon"] as const) {
  test(`kill -9 of a ${whose} leaves nothing of its containers`, async () => {
    using first = podBundle();
    const pod = await host.start(first);
    using second = joining(await pidOf(pod), OF_PODS, "sleep", "1000");
    const member = await host.start(second);
    const monitors = [await pidOf(pod), await pidOf(member)];
    if (whose === "monitor") {
      process.kill(monitors[1] as number, "SIGKILL");
      await host.stopped(member);
      await host.ok(["delete", member]);
      assert.equal(await host.ok(["exec", pod, "echo", "still there"]), "still there\n");
      // The member's name in the VM is free again.
      await detached(host, ["run", "--detach", "--bundle", second.directory, member]);
      await host.ok(["delete", "--force", member]);
    } else {
      const all = host.leftovers().map((line) => Number(/^process (\d+): .*sandbox-daemon/.exec(line)?.[1] ?? 0));
      const daemon = all.find((pid) => pid > 0 && !monitors.includes(pid)) ?? 0;
      assert.equal(daemons(), 3);
      process.kill(daemon, "SIGKILL");
      await host.stopped(member);
      await host.stopped(pod);
      await host.ok(["delete", member]);
    }
    await host.ok(["delete", "--force", pod]);
    assert.deepEqual(await host.remains(), []);
  });
}

test("create says which namespaces cannot be joined", async () => {
  using bundle = joining(process.pid, { ipc: "ipc" }, "true");
  const { exitCode, stderr } = await host.run(["run", "--bundle", bundle.directory, host.id()]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /linux\.namespaces\[ipc\]\.path: a namespace of the host cannot be joined/);
  assert.deepEqual(await host.remains(), []);
});

test("a container that cannot be created in a pod leaves the pod as it is", async () => {
  using first = podBundle();
  const pod = await host.start(first);
  using second = joining(await pidOf(pod), OF_PODS, "/nowhere");
  const { exitCode } = await host.run(["run", "--bundle", second.directory, host.id()]);
  assert.notEqual(exitCode, 0);
  using third = joining(await pidOf(pod), OF_PODS, "echo", "fine");
  const id = host.id();
  await detached(host, ["create", "--bundle", third.directory, id]);
  assert.equal(await host.status(id), "created");
  await host.ok(["delete", id]);
  await host.ok(["delete", "--force", pod]);
  assert.deepEqual(await host.remains(), []);
});

test("a container that joins another's user and pid namespaces is known by a pid of the guest, and can be killed", async () => {
  const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const mapped = (bundle: Bundle): Bundle => {
    bundle.spec.linux = { ...bundle.spec.linux, uidMappings: mappings, gidMappings: mappings };
    // sysfs and cgroups belong to the guest's own user namespace, as the pod's network does.
    bundle.spec.mounts = bundle.spec.mounts?.filter(({ destination }) => !destination.startsWith("/sys")) ?? [];
    execFileSync("chown", ["-R", "100000:100000", bundle.rootfs]);
    return bundle.write();
  };
  using first = podBundle();
  const namespaces = first.spec.linux?.namespaces ?? [];
  namespaces.push({ type: "user" });
  const pod = await host.start(mapped(first));
  using second = joining(await pidOf(pod), { ...OF_PODS, pid: "pid" }, "sleep", "1000");
  second.spec.linux?.namespaces?.push({ type: "user", path: `/proc/${await pidOf(pod)}/ns/user` });
  const member = await host.start(mapped(second));
  assert.match(await host.ok(["ps", member]), /sleep 1000/);
  assert.equal(await host.ok(["exec", member, "sh", "-c", "kill -0 1 && echo both"]), "both\n");
  await host.ok(["kill", member, "KILL"]);
  await host.stopped(member);
  assert.equal(await host.status(pod), "running");
  await host.ok(["delete", member]);
  await host.ok(["delete", "-f", pod]);
  assert.deepEqual(await host.remains(), []);
});

test("delete of a member whose monitor was killed leaves the VM, which is in its cgroup, to the others", async () => {
  using first = podBundle();
  const pod = await host.start(first);
  using one = joining(await pidOf(pod), OF_PODS, "sleep", "1000");
  using two = joining(await pidOf(pod), OF_PODS, "sleep", "1000");
  const [leaving, staying] = [await host.start(one), await host.start(two)];
  await host.ok(["delete", "-f", pod]);
  process.kill(await pidOf(leaving), "SIGKILL");
  await host.ok(["delete", "-f", leaving]);
  assert.equal(await host.status(staying), "running");
  assert.equal(await host.ok(["exec", staying, "echo", "here"]), "here\n");
  await host.ok(["delete", "-f", staying]);
  assert.deepEqual(await host.remains(), []);
});
