/** Sandboxes whose QEMU is forked from one that has run containers before. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { collect, detached, Host, PROGRAM, until } from "../harness/host.ts";
import { inNetns, Netns } from "../harness/network.ts";
import { isRunning } from "../harness/qemu.ts";

const AT_ONCE = 20;
const host = new Host();
const sleeper = new Bundle();
const folder = mkdtempSync("/dev/shm/caisson-test-");
const settings = join(folder, "config.toml");
const without = join(folder, "without.toml");
const caisson = (...args: string[]) => host.ok(["--config", settings, ...args]);
let key = "";

before(() => {
  const lines = `template_dir = "${folder}/templates"\nmemory_mib = 256\nboot_timeout_seconds = 100\n`;
  writeFileSync(settings, lines);
  writeFileSync(without, `${lines}fork_server = "off"\n`);
});
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(async () => {
  await caisson("template", "rm", "--all");
  await until(() => qemus().length === 0);
  sleeper[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** The fork server's pid, which is made if need be. */
async function serve(): Promise<number> {
  const { exitCode, stdout, stderr } = await collect(withOpenFiles("pipe", "template", "build"));
  assert.equal(exitCode, 0, stderr);
  key = stdout.trim();
  return serverPid() ?? assert.fail("there is no fork server");
}

/** A caisson whose caller has descriptors 3 to 200 of its own. */
function withOpenFiles(output: "pipe" | "ignore", ...args: string[]): ChildProcess {
  const script = 'for fd in {3..200}; do eval "exec $fd</dev/full"; done; exec "$@"';
  const words = ["-c", script, "bash", PROGRAM, "--root", host.root, "--config", settings, ...args];
  return spawn("bash", words, { stdio: ["ignore", output, output] });
}

/** The numbers of the descriptors that a process has of what withOpenFiles() opens. */
function foreign(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === "/dev/full");
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function serverPid(): number | undefined {
  const pid = describedPid();
  return pid !== undefined && isRunning(pid) ? pid : undefined;
}

function describedPid(): number | undefined {
  const description = text(join(folder, "templates", key, "fork-server.json"));
  return description === "" ? undefined : (JSON.parse(description) as { pid: number }).pid;
}

/** QEMU's memory is a file of our templates; in the mount namespace of a fork server it has another path. */
function qemus(): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids
    .map(Number)
    .filter(
      (pid) => text(`/proc/${pid}/comm`).startsWith("qemu") && text(`/proc/${pid}/maps`).includes(basename(folder)),
    );
}

const qemuOf = (id: string) =>
  qemus().find((pid) => text(`/proc/${pid}/cgroup`).includes(id)) ?? assert.fail(`${id} has no QEMU`);
const status = (pid: number, field: string) =>
  new RegExp(`^${field}:\\s+(.*)$`, "m").exec(text(`/proc/${pid}/status`))?.[1];

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

async function start(...args: string[]): Promise<string> {
  const id = host.id();
  await detached(host, ["--config", settings, ...args, "run", "-d", "-b", sleeper.directory, id]);
  return id;
}

test("`template build` makes one, and the next container's QEMU is forked from it", async () => {
  const server = await serve();
  assert.match(await caisson("template", "list"), new RegExp(`^${key} .* usable +${server} `, "m"));
  using bundle = new Bundle(["sh", "-c", "hostname; cat /volume/file; read line; echo $line >/volume/answer"]);
  writeFileSync(join(bundle.directory, "file"), "of the host\n");
  bundle.spec.mounts?.push({ destination: "/volume", type: "bind", source: bundle.directory, options: ["rbind"] });
  bundle.write();
  const result = await host.run(["--config", settings, "run", "-b", bundle.directory, host.id()], { input: "typed\n" });
  assert.deepEqual(result, { exitCode: 0, stdout: "caisson\nof the host\n", stderr: result.stderr });
  assert.equal(text(join(bundle.directory, "answer")), "typed\n");

  const id = await start();
  const qemu = qemuOf(id);
  assert.equal(status(qemu, "PPid"), String(server));
  assert.equal(serverPid(), server);
  await host.ok(["delete", "--force", id]);
  await until(() => !isRunning(qemu));
});

test("a copy is confined, and has nothing of the server's or of another copy's", async () => {
  const server = await serve();
  const ids = [await start(), await start()];
  const sockets = (pid: number) => {
    const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return files.filter((file) => file.startsWith("socket:"));
  };
  const [one, other] = ids.map(qemuOf) as [number, number];
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

test("what the caller has open reaches no process that outlives its command", async () => {
  const server = await serve();
  const id = host.id();
  // A container keeps its standard streams.
  const creating = withOpenFiles("ignore", "create", "-b", sleeper.directory, "--pid-file", join(folder, "pid"), id);
  assert.deepEqual(await once(creating, "exit"), [0, null]);
  const daemon = Number(text(join(folder, "pid")));
  for (const pid of [server, daemon, qemuOf(id)]) assert.deepEqual(foreign(pid), [], text(`/proc/${pid}/comm`));
  await host.ok(["delete", "--force", id]);
});

test("copies have random bytes, a boot id and the time of their own", async () => {
  await serve();
  const script = "head -c 32 /dev/urandom | sha256sum; cat /proc/sys/kernel/random/boot_id; date +%s";
  using bundle = new Bundle(["sh", "-c", script]);
  const outputs: string[] = [];
  for (let round = 0; round < 3; round++) {
    const before = Date.now() / 1000;
    const lines = (await caisson("run", "-b", bundle.directory, host.id())).trim().split("\n");
    const seconds = Number(lines.pop());
    // Whole seconds, read some time between the two.
    assert.ok(seconds > before - 2 && seconds < Date.now() / 1000 + 1, `${before}: ${seconds}`);
    outputs.push(...lines);
  }
  assert.equal(new Set(outputs).size, 6, outputs.join("\n"));
});

test(`${AT_ONCE} containers at once, of one server`, async () => {
  const server = await serve();
  using bundle = new Bundle(["sh", "-c", "read line < /proc/sys/kernel/random/uuid; echo $line"]);
  const runs = Array.from({ length: AT_ONCE }, () => caisson("run", "-b", bundle.directory, host.id()));
  assert.equal(new Set(await Promise.all(runs)).size, AT_ONCE);
  assert.equal(serverPid(), server);
});

test("a copy gets the interfaces of the container's network namespace, which is left as it was", async () => {
  await serve();
  using outside = new Netns();
  using inside = new Netns();
  inside.veth("eth0", outside, "port0");
  outside.ip("addr add 192.168.11.1/24 dev port0");
  inside.ip("addr add 192.168.11.101/24 dev eth0");
  const before = await inside.settled();
  using bundle = inNetns(new Bundle(), inside.path);
  const id = host.id();
  await detached(host, ["--config", settings, "run", "-d", "-b", bundle.directory, id]);
  assert.equal(status(qemuOf(id), "PPid"), String(serverPid()));
  await until(
    async () => (await outside.run("busybox", "ping", "-c", "1", "-W", "5", "192.168.11.101")).exitCode === 0,
  );
  await host.ok(["delete", "--force", id]);
  await inside.returnsTo(before);
});

test("a sandbox whose daemon is killed takes its QEMU with it, and no other", async () => {
  const server = await serve();
  const [one, other] = [await start(), await start()];
  const [qemu, bystander] = [qemuOf(one), qemuOf(other)];
  const { pid } = JSON.parse(await host.ok(["state", one])) as { pid: number };
  process.kill(pid, "SIGKILL");
  await until(() => !isRunning(qemu));
  assert.ok(isRunning(bystander) && isRunning(server));
  assert.equal(await host.ok(["exec", other, "echo", "alive"]), "alive\n");
  for (const id of [one, other]) await host.ok(["delete", "--force", id]);
});

test("a QEMU that is killed ends its container, and no other", async () => {
  const server = await serve();
  using bundle = new Bundle();
  const child = host.spawn(["--config", settings, "run", "-b", bundle.directory, host.id()]);
  const ended = collect(child);
  const other = await start();
  const bystander = qemuOf(other);
  await until(() => qemus().length === 3);
  const qemu = qemus().find((pid) => pid !== bystander && pid !== server) ?? 0;
  process.kill(qemu, "SIGKILL");
  const { exitCode, stderr } = await ended;
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /QEMU was killed by SIGKILL/);
  assert.ok(isRunning(bystander) && isRunning(server));
  await host.ok(["delete", "--force", other]);
});

test("copies outlive a server that is killed; the next container is in a clone, and has another one made", async () => {
  const server = await serve();
  const id = await start();
  const qemu = qemuOf(id);
  process.kill(server, "SIGKILL");
  await until(() => !isRunning(server));
  assert.equal(await host.ok(["exec", id, "echo", "alive"]), "alive\n");
  const clone = await start();
  assert.notEqual(status(qemuOf(clone), "PPid"), String(server));
  await until(() => serverPid() !== undefined);
  assert.notEqual(serverPid(), server);
  // Nobody but itself looks after it now.
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  process.kill(pid, "SIGKILL");
  await until(() => !isRunning(qemu));
  for (const each of [id, clone]) await host.ok(["delete", "--force", each]);
});

test("a description that is damaged, or a socket at which nobody listens, is as good as none", async () => {
  await serve();
  const file = join(folder, "templates", key, "fork-server.json");
  const description = text(file);
  writeFileSync(file, description.slice(0, 20));
  using bundle = new Bundle(["echo", "whole"]);
  assert.equal(await caisson("run", "-b", bundle.directory, host.id()), "whole\n");
  const server = await serve();
  process.kill(server, "SIGKILL");
  await until(() => !isRunning(server));
  assert.equal(await caisson("run", "-b", bundle.directory, host.id()), "whole\n");
});

test("a maker that is killed leaves no QEMU, and the next one makes it", async () => {
  process.kill(await serve(), "SIGKILL");
  const building = host.spawn(["--config", settings, "template", "build"]);
  const ended = collect(building);
  await until(() => qemus().length === 1);
  const [qemu = 0] = qemus();
  process.kill(Number(status(qemu, "PPid")), "SIGKILL");
  await until(() => !isRunning(qemu));
  building.kill("SIGKILL");
  await ended;
  await serve();
  const template = join(folder, "templates", key);
  assert.deepEqual(
    readdirSync(template).filter((name) => name.startsWith("maker-")),
    [],
  );
});

test('with fork_server = "off" there is none, and none is used', async () => {
  const server = await serve();
  const id = host.id();
  await detached(host, ["--config", without, "run", "-d", "-b", sleeper.directory, id]);
  assert.notEqual(status(qemuOf(id), "PPid"), String(server));
  await host.ok(["delete", "--force", id]);
});

test("`template rm` ends it; what it has forked goes on", async () => {
  const server = await serve();
  const id = await start();
  await caisson("template", "rm", key);
  assert.ok(!existsSync(join(folder, "templates", key)));
  assert.equal(await host.ok(["exec", id, "echo", "alive"]), "alive\n");
  await host.ok(["delete", "--force", id]);
  await until(() => !isRunning(server));
});
