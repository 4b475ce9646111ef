/** Sandboxes whose QEMU is forked from one that has run containers before. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { ForkServers, foreign, status, text } from "../harness/fork-servers.ts";
import { detached, until } from "../harness/host.ts";
import { inNetns, Netns } from "../harness/network.ts";
import { isRunning } from "../harness/qemu.ts";

const AT_ONCE = 20;
const [major = 0, minor = 0] = release().split(".").map(Number);
const noLargePages =
  (major < 6 || (major === 6 && minor < 1) || !existsSync("/sys/kernel/mm/transparent_hugepage")) &&
  "the kernel does not gather pages into large ones";
const servers = new ForkServers();
const { host } = servers;

afterEach(() => servers.leftNothing());
after(() => servers[Symbol.asyncDispose]());

test("`template build` makes one, and the next container's QEMU is forked from it", async () => {
  const server = await servers.serve();
  assert.match(await servers.caisson("template", "list"), new RegExp(`^${servers.key} .* usable +${server} `, "m"));
  using bundle = new Bundle(["sh", "-c", "hostname; cat /volume/file; read line; echo $line >/volume/answer"]);
  writeFileSync(join(bundle.directory, "file"), "of the host\n");
  bundle.spec.mounts?.push({ destination: "/volume", type: "bind", source: bundle.directory, options: ["rbind"] });
  bundle.write();
  const result = await host.run(["--config", servers.settings, "run", "-b", bundle.directory, host.id()], {
    input: "typed\n",
  });
  assert.deepEqual(result, { exitCode: 0, stdout: "caisson\nof the host\n", stderr: result.stderr });
  assert.equal(text(join(bundle.directory, "answer")), "typed\n");

  const id = await servers.start();
  const qemu = servers.qemuOf(id);
  assert.equal(status(qemu, "PPid"), String(server));
  assert.equal(servers.serverPid(), server);
  await host.ok(["delete", "--force", id]);
  await until(() => !isRunning(qemu));
});

test("a copy is confined, and has nothing of the server's or of another copy's", async () => {
  const server = await servers.serve();
  const ids = [await servers.start(), await servers.start()];
  const sockets = (pid: number) => {
    const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return files.filter((file) => file.startsWith("socket:"));
  };
  const [one, other] = ids.map((id) => servers.qemuOf(id)) as [number, number];
  for (const pid of [one, other]) {
    assert.equal(status(pid, "Seccomp"), "2");
    assert.equal(status(pid, "NoNewPrivs"), "1");
    for (const set of ["CapPrm", "CapBnd", "CapAmb"]) assert.equal(status(pid, set), "0".repeat(16));
    // The first process of its pid namespace.
    assert.match(status(pid, "NSpid") ?? "", /\t1$/);
    // The connection that its life hangs on.
    assert.equal(sockets(pid).filter((socket) => sockets(server).includes(socket)).length, 1);
  }
  assert.deepEqual(
    sockets(one).filter((socket) => sockets(other).includes(socket)),
    [],
  );
  assert.equal(status(one, "Threads"), status(server, "Threads"));
  const users = [one, other, server].map((pid) => status(pid, "Uid")?.split("\t")[0]);
  assert.equal(new Set(users).size, 3, users.join());
  assert.ok(users.every((uid) => Number(uid) >= 2_000_000_000));
  const spaces = ["mnt", "pid", "net", "ipc", "uts", "cgroup"];
  for (const name of spaces) {
    const all = [one, other, process.pid].map((pid) => readlinkSync(`/proc/${pid}/ns/${name}`));
    assert.equal(new Set(all).size, 3, name);
  }
  // The server has nothing in view that could be written to, or that is not QEMU's own.
  const mounts = text(`/proc/${one}/mountinfo`).trimEnd().split("\n");
  const [root, ...below] = mounts.map((line) => [line.split(" ")[4], line.split(" ")[5]?.split(",")[0]] as const);
  assert.deepEqual(
    [root, below.pop()],
    [
      ["/", "ro"],
      ["/proc", "rw"],
    ],
  );
  for (const [point = "", access] of below) assert.match(`${access} ${point}`, /^ro \/(usr|lib|lib64|bin|etc\/ld)\b/);
  for (const id of ids) await host.ok(["delete", "--force", id]);
});

test("what a server has beside its emulator's code is in large pages", { skip: noLargePages }, async () => {
  const server = await servers.serve();
  const mappings = text(`/proc/${server}/smaps`).split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  // QEMU asks for them itself for code.
  const others = mappings.filter((mapping) => !/^\S+ rwx/.test(mapping));
  const kib = others.map((mapping) => Number(/^AnonHugePages: +(\d+)/m.exec(mapping)?.[1] ?? 0));
  assert.ok(kib.reduce((sum, each) => sum + each, 0) >= 8 * 1024, kib.filter((each) => each > 0).join());
});

test("what the caller has open reaches no process that outlives its command", async () => {
  const server = await servers.serve();
  const id = host.id();
  // A container keeps its standard streams.
  const creating = servers.withOpenFiles(
    "ignore",
    "create",
    "-b",
    servers.sleeper.directory,
    "--pid-file",
    join(servers.folder, "pid"),
    id,
  );
  assert.deepEqual(await once(creating, "exit"), [0, null]);
  const daemon = Number(text(join(servers.folder, "pid")));
  for (const pid of [server, daemon, servers.qemuOf(id)]) assert.deepEqual(foreign(pid), [], text(`/proc/${pid}/comm`));
  await host.ok(["delete", "--force", id]);
});

test("copies have random bytes, a boot id and the time of their own", async () => {
  await servers.serve();
  const script = "head -c 32 /dev/urandom | sha256sum; cat /proc/sys/kernel/random/boot_id; date +%s";
  using bundle = new Bundle(["sh", "-c", script]);
  const outputs: string[] = [];
  for (let round = 0; round < 3; round++) {
    const before = Date.now() / 1000;
    const lines = (await servers.caisson("run", "-b", bundle.directory, host.id())).trim().split("\n");
    const seconds = Number(lines.pop());
    // Whole seconds, read some time between the two.
    assert.ok(seconds > before - 2 && seconds < Date.now() / 1000 + 1, `${before}: ${seconds}`);
    outputs.push(...lines);
  }
  assert.equal(new Set(outputs).size, 6, outputs.join("\n"));
});

test(`${AT_ONCE} containers at once, of one server`, async () => {
  const server = await servers.serve();
  using bundle = new Bundle(["sh", "-c", "read line < /proc/sys/kernel/random/uuid; echo $line"]);
  const runs = Array.from({ length: AT_ONCE }, () => servers.caisson("run", "-b", bundle.directory, host.id()));
  assert.equal(new Set(await Promise.all(runs)).size, AT_ONCE);
  assert.equal(servers.serverPid(), server);
});

test("a copy gets the interfaces of the container's network namespace, which is left as it was", async () => {
  await servers.serve();
  using outside = new Netns();
  using inside = new Netns();
  inside.veth("eth0", outside, "port0");
  outside.ip("addr add 192.168.11.1/24 dev port0");
  inside.ip("addr add 192.168.11.101/24 dev eth0");
  const before = await inside.settled();
  using bundle = inNetns(new Bundle(), inside.path);
  const id = host.id();
  await detached(host, ["--config", servers.settings, "run", "-d", "-b", bundle.directory, id]);
  assert.equal(status(servers.qemuOf(id), "PPid"), String(servers.serverPid()));
  await until(
    async () => (await outside.run("busybox", "ping", "-c", "1", "-W", "5", "192.168.11.101")).exitCode === 0,
  );
  await host.ok(["delete", "--force", id]);
  await inside.returnsTo(before);
});

test('with fork_server = "off" there is none, and none is used', async () => {
  const server = await servers.serve();
  const id = host.id();
  await detached(host, ["--config", servers.without, "run", "-d", "-b", servers.sleeper.directory, id]);
  assert.notEqual(status(servers.qemuOf(id), "PPid"), String(server));
  await host.ok(["delete", "--force", id]);
});

test("`template rm` ends it; what it has forked goes on", async () => {
  const server = await servers.serve();
  const id = await servers.start();
  await servers.caisson("template", "rm", servers.key);
  assert.ok(!existsSync(servers.template));
  assert.equal(await host.ok(["exec", id, "echo", "alive"]), "alive\n");
  await host.ok(["delete", "--force", id]);
  await until(() => !isRunning(server));
});
