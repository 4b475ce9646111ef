/** VMs that stand by: taken over by the next sandbox, or ended, whatever happens to those who hold them. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { detached, Host, until } from "../harness/host.ts";
import { inNetns, Netns } from "../harness/network.ts";

const CGROUP = "/caisson-standby";
const host = new Host();
const folder = mkdtempSync("/dev/shm/caisson-test-");
const settings = join(folder, "config.toml");
const refilled = join(folder, "refilled.toml");
const caisson = (...args: string[]) => host.ok(["--config", settings, ...args]);
let key = "";

before(async () => {
  const lines = `template_dir = "${folder}/templates"\nmemory_mib = 256\nboot_timeout_seconds = 100\n`;
  writeFileSync(settings, lines);
  writeFileSync(refilled, `${lines}standby = 1\n`);
  key = (await caisson("template", "build")).trim();
});
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(async () => {
  await caisson("template", "rm", "--all");
  await until(() => ours().length === 0);
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function standBy(): Promise<{ holder: number; qemu: number }> {
  await caisson("template", "build", "--standby");
  const holder = ours().find((pid) => commandOf(pid).includes("hold-standby"));
  const [qemu] = qemus();
  assert.ok(holder && qemu, ours().map(commandOf).join("\n"));
  return { holder, qemu };
}

/** Holders of VMs of our templates, their leashes and QEMUs: those not taken over. */
function ours(): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids
    .map(Number)
    .filter((pid) => text(`/proc/${pid}/cgroup`).includes(CGROUP) && commandOf(pid) !== "" && isOurs(pid));
}

/** QEMU's memory is a file of our templates; its leash and its holder name them. */
function isOurs(pid: number): boolean {
  return commandOf(pid).includes(folder) || text(`/proc/${pid}/maps`).includes(folder);
}

const qemus = () => ours().filter((pid) => text(`/proc/${pid}/comm`).startsWith("qemu-system"));
const commandOf = (pid: number) => text(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

const isAlive = (pid: number) => commandOf(pid) !== "";
const offered = () => readdirSync(join(folder, "standby", key)).filter((name) => !name.startsWith("slot-"));
const cgroupOf = (pid: number) => text(`/proc/${pid}/cgroup`);

test("the next container is in the VM that stood by, which is like any other", async () => {
  const { holder, qemu } = await standBy();
  assert.match(await caisson("template", "list"), new RegExp(`^${key} .* usable +1 `, "m"));
  using bundle = new Bundle(["sh", "-c", "hostname; cat /volume/file; read line; echo $line"]);
  writeFileSync(join(bundle.directory, "file"), "of the host\n");
  bundle.spec.mounts?.push({ destination: "/volume", type: "bind", source: bundle.directory, options: ["rbind"] });
  bundle.write();
  const other = host.id();
  const result = await host.run(["--config", settings, "run", "-b", bundle.directory, other], { input: "typed\n" });
  assert.deepEqual(result, { exitCode: 0, stdout: `caisson\nof the host\ntyped\n`, stderr: result.stderr });
  await until(() => !isAlive(holder) && !isAlive(qemu));
  assert.deepEqual(offered(), []);
});

test("it is in the container's cgroup then, and its holder has gone", async () => {
  const { holder, qemu } = await standBy();
  using sleeper = new Bundle();
  const id = host.id();
  await detached(host, ["--config", settings, "run", "-d", "-b", sleeper.directory, id]);
  assert.ok(cgroupOf(qemu).includes(id), cgroupOf(qemu));
  await until(() => !isAlive(holder));
  assert.equal(await host.ok(["exec", id, "echo", "still there"]), "still there\n");
  // What engines find at its pid (podman cp) does not cost the VM its files.
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  assert.ok(readdirSync(`/proc/${pid}/root/bin`).includes("busybox"));
  await host.ok(["delete", "--force", id]);
  await until(() => !isAlive(qemu));
});

test("two VMs that stood by have random bytes and a boot id of their own, and the right time", async () => {
  using bundle = new Bundle([
    "sh",
    "-c",
    "head -c 32 /dev/urandom | sha256sum; cat /proc/sys/kernel/random/boot_id; date +%s",
  ]);
  const outputs: string[][] = [];
  for (let round = 0; round < 2; round++) {
    await standBy();
    const before = Date.now() / 1000;
    const lines = (await caisson("run", "-b", bundle.directory, host.id())).trim().split("\n");
    const seconds = Number(lines.pop());
    // Whole seconds, read some time between the two.
    assert.ok(seconds > before - 2 && seconds < Date.now() / 1000 + 1, `${before}: ${seconds}`);
    outputs.push(lines);
  }
  assert.equal(new Set(outputs.flat()).size, 4, outputs.join("\n"));
});

test("it gets the interfaces of the container's network namespace, which is left as it was", async () => {
  const { qemu } = await standBy();
  using outside = new Netns();
  using inside = new Netns();
  inside.veth("eth0", outside, "port0");
  outside.ip("addr add 192.168.11.1/24 dev port0");
  inside.ip("addr add 192.168.11.101/24 dev eth0");
  const before = await inside.settled();
  using bundle = inNetns(new Bundle(), inside.path);
  const id = host.id();
  await detached(host, ["--config", settings, "run", "-d", "-b", bundle.directory, id]);
  assert.ok(cgroupOf(qemu).includes(id), "the VM that stood by was taken");
  await until(
    async () => (await outside.run("busybox", "ping", "-c", "1", "-W", "5", "192.168.11.101")).exitCode === 0,
  );
  await host.ok(["delete", "--force", id]);
  await inside.returnsTo(before);
});

test("a sandbox whose daemon is killed takes the VM with it", async () => {
  const { qemu } = await standBy();
  using sleeper = new Bundle();
  const id = host.id();
  await detached(host, ["--config", settings, "run", "-d", "-b", sleeper.directory, id]);
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  process.kill(pid, "SIGKILL");
  await until(() => !isAlive(qemu));
  await host.ok(["delete", "--force", id]);
});

test("a holder that is killed takes its VM with it, and the next container is in a clone", async () => {
  const { holder, qemu } = await standBy();
  process.kill(holder, "SIGKILL");
  await until(() => !isAlive(qemu));
  using bundle = new Bundle(["echo", "whole"]);
  assert.equal(await caisson("run", "-b", bundle.directory, host.id()), "whole\n");
  assert.deepEqual(offered(), []);
});

test("a QEMU that is killed is no longer offered", async () => {
  const { holder, qemu } = await standBy();
  process.kill(qemu, "SIGKILL");
  await until(() => !isAlive(holder));
  assert.deepEqual(offered(), []);
});

test("with `standby` set another one takes the place of the one that was taken", async () => {
  using bundle = new Bundle(["echo", "whole"]);
  for (let round = 0; round < 2; round++) {
    assert.equal(await host.ok(["--config", refilled, "run", "-b", bundle.directory, host.id()]), "whole\n");
    await until(() => offered().some((name) => name.endsWith(".sock")));
  }
  assert.equal(qemus().length, 1);
});

test("`template rm` ends them", async () => {
  const { holder, qemu } = await standBy();
  await caisson("template", "rm", key);
  await until(() => !isAlive(holder) && !isAlive(qemu));
  assert.deepEqual(offered(), []);
});
