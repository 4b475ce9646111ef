import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import type { Device } from "../../protocol/oci.ts";
import { processIdentity } from "../../runtime/state/process-identity.ts";
import { Bundle } from "../harness/bundle.ts";
import { collect, detached, errorOf, Host, until } from "../harness/host.ts";
import { ConsoleSocket, Terminal } from "../harness/terminal.ts";

const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-run-"));
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(async () => {
  rmSync(folder, { recursive: true });
  await host[Symbol.asyncDispose]();
});

test("run passes output, errors, input and the exit status through", async () => {
  using bundle = new Bundle(["sh", "-c", "cat; echo err >&2; exit 7"]);
  const result = await host.run(["run", "--bundle", bundle.directory, host.id()], { input: "in\n" });
  assert.deepEqual(result, { exitCode: 7, stdout: "in\n", stderr: "err\n" });
});

test("run takes the bundle in the current folder", async () => {
  using bundle = new Bundle(["hostname"]);
  assert.equal(await host.ok(["run", host.id()], { cwd: bundle.directory }), "caisson\n");
});

test("run returns 128 + the signal that ended the process", async () => {
  using bundle = new Bundle();
  const id = host.id();
  const child = host.spawn(["run", "-b", bundle.directory, id]);
  const result = collect(child);
  await until(async () => /"running"/.test((await host.run(["state", id])).stdout));
  await host.ok(["kill", id, "KILL"]);
  assert.equal((await result).exitCode, 137);
});

test("run runs it in another kernel, with its own pid 1", async () => {
  using bundle = new Bundle(["sh", "-c", "cat /proc/sys/kernel/random/boot_id; echo $$"]);
  const [bootId, pid] = (await host.ok(["run", "-b", bundle.directory, host.id()])).split("\n");
  assert.notEqual(bootId, readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
  assert.equal(pid, "1");
});

test("run keeps what the container wrote", async () => {
  using bundle = new Bundle(["sh", "-c", "echo kept > /root/file"]);
  await host.ok(["run", "-b", bundle.directory, host.id()]);
  assert.equal(readFileSync(join(bundle.rootfs, "root/file"), "utf8"), "kept\n");
});

for (const [what, args, exitCode, message] of [
  ["that does not exist", ["nothere"], 127, /"nothere".*(no such file or directory|executable file not found)/],
  ["that is no program", ["/etc"], 126, /"\/etc".*permission denied/],
] as const) {
  test(`run of a command ${what} ends with ${exitCode}`, async () => {
    using bundle = new Bundle(args);
    const result = await host.run(["run", "-b", bundle.directory, host.id()]);
    assert.equal(result.exitCode, exitCode);
    assert.match(errorOf(result), message);
  });
}

test("run forwards signals", async () => {
  using bundle = new Bundle(["sh", "-c", "trap 'echo caught; exit 3' TERM; echo ready; sleep 1000 & wait"]);
  const child = host.spawn(["run", "-b", bundle.directory, host.id()]);
  child.stdout?.on("data", (data) => {
    if (String(data).includes("ready")) child.kill("SIGTERM");
  });
  assert.deepEqual(await collect(child), { exitCode: 3, stdout: "ready\ncaught\n", stderr: "" });
});

test("run that is interrupted before the process runs leaves nothing", async () => {
  using bundle = new Bundle();
  bundle.spec.hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "996"] }] };
  bundle.write();
  const id = host.id();
  const child = host.spawn(["run", "-b", bundle.directory, id]);
  const result = collect(child);
  await until(async () => (await host.run(["state", id])).exitCode === 0);
  child.kill("SIGINT");
  const interrupted = await result;
  assert.equal(interrupted.exitCode, 130);
  assert.match(errorOf(interrupted), /interrupted by SIGINT/);
});

test("run --detach leaves it running; --pid-file names the daemon", async () => {
  using bundle = new Bundle();
  const id = host.id();
  const pidFile = join(folder, "pid");
  await detached(host, ["run", "--detach", "--pid-file", pidFile, "-b", bundle.directory, id]);
  const { status, pid } = JSON.parse(await host.ok(["state", id]));
  assert.equal(status, "running");
  assert.equal(readFileSync(pidFile, "utf8"), String(pid));
  await host.ok(["delete", "--force", id]);
  assert.equal(processIdentity(pid), undefined);
});

test("run --keep leaves the stopped container", async () => {
  using bundle = new Bundle(["true"]);
  const id = host.id();
  await host.ok(["run", "--keep", "-b", bundle.directory, id]);
  assert.equal(await host.status(id), "stopped");
  await host.ok(["delete", id]);
});

test("run that cannot write its pid file takes the container back", async () => {
  using bundle = new Bundle();
  const result = await host.run(["run", "--pid-file", "/none/x", "-b", bundle.directory, host.id()]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /cannot write the pid file \/none\/x/);
});

test("run on a terminal: keys, Ctrl-C, size, exit status, and its modes afterwards", async () => {
  using bundle = new Bundle(["sh"]);
  bundle.process.terminal = true;
  bundle.write();
  using terminal = new Terminal();
  const { screen } = terminal;
  screen.resize(33, 101);
  const modes = terminal.modes();
  // Typed ahead it ends the first read, and nothing else.
  screen.type("\x04");
  const child = terminal.spawn(host.root, ["run", "-b", bundle.directory, host.id()]);
  const ended = collect(child);
  await screen.shows(/# /);
  screen.type("stty size; tty\n");
  await screen.shows(/33 101\r\n\/dev\/(pts\/0|console)/);
  screen.resize(44, 111);
  screen.type("until stty size | grep '44.111'; do sleep 0.1; done\n");
  // What is typed before the shell asks for it is echoed before its prompt, which would then be taken for the next one.
  await screen.shows(/44 111[\s\S]*# /);
  screen.type("sleep 1000\n");
  await screen.shows(/sleep 1000/);
  // The shell echoes the line before it has started the sleep, and ignores what comes in between.
  const interrupting = setInterval(() => screen.type("\x03"), 500);
  await screen.shows(/# /).finally(() => clearInterval(interrupting));
  screen.type("exit 9\n");
  assert.equal((await ended).exitCode, 9);
  assert.equal(terminal.modes(), modes.replace("rows 33; columns 101", "rows 44; columns 111"));
});

test("run with a terminal needs one", async () => {
  using bundle = new Bundle(["sh"]);
  bundle.process.terminal = true;
  bundle.write();
  const result = await host.run(["run", "-b", bundle.directory, host.id()]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /wants a terminal, but none of stdin, stdout and stderr is one/);
});

test("run --detach with a terminal needs --console-socket, and sends the terminal over it", async () => {
  using bundle = new Bundle(["sh"]);
  bundle.process.terminal = true;
  bundle.write();
  const id = host.id();
  const refused = await host.run(["run", "-d", "-b", bundle.directory, id]);
  assert.equal(refused.exitCode, 1);
  assert.match(errorOf(refused), /cannot allocate tty if caisson will detach without setting console socket/);

  using socket = new ConsoleSocket();
  await detached(host, ["run", "-d", "--console-socket", socket.path, "-b", bundle.directory, id]);
  using screen = await socket.screen;
  screen.resize(20, 60);
  screen.type("until stty size | grep '20.60'; do sleep 0.1; done\n");
  await screen.shows(/20 60/);
  screen.type("exit\n");
  await host.stopped(id);
  await host.ok(["delete", id]);
});

test("run --console-socket without a terminal is refused", async () => {
  using bundle = new Bundle();
  const result = await host.run(["run", "--console-socket", "/x", "-b", bundle.directory, host.id()]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /cannot use console socket if caisson will not detach or allocate tty/);
});

test("run --debug tells each step with its time and what was chosen, in either format, and no variable's value", async () => {
  using bundle = new Bundle(["true"]);
  bundle.process.env = ["PATH=/bin", "SECRET=hunter2"];
  bundle.write();
  const log = join(folder, "debug.json");
  const id = host.id();
  const flags = ["--debug", "--log", log, "--log-format", "json"];
  const silent = await host.run([...flags, "run", "-b", bundle.directory, id]);
  assert.deepEqual(silent, { exitCode: 0, stdout: "", stderr: "" });
  const text = readFileSync(log, "utf8");
  assert.doesNotMatch(text, /hunter2/);
  const records = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const fields = (msg: string) => records.find((record) => record["msg"] === msg) ?? assert.fail(`${msg} in ${text}`);
  for (const step of ["read bundle", "choose the VM", "VM ready", "create container", "create", "end sandbox", "run"]) {
    assert.equal(typeof fields(step)["ms"], "number", step);
  }
  assert.match(String(fields("the VM's shape")["accelerator"]), /^(kvm|tcg)$/);
  assert.match(String(fields("the VM's shape")["transport"]), /^(vsock|virtio-serial)$/);
  assert.match(String(fields("how the VM starts")["how"]), /^(boot|clone|fork)$/);
  assert.equal(fields("the sandbox on the host")["cgroup"], `/caisson/${id}`);
  assert.equal(fields("the VM's network")["namespace"], "a new one");
  assert.equal(fields("what the container has of the host")["rootfs"], bundle.rootfs);

  const told = await host.run(["--debug", "run", "-b", bundle.directory, host.id()]);
  assert.equal(told.exitCode, 0);
  assert.match(told.stderr, /^time=\S+ level=debug msg="VM ready" ms=\d+/m);
  assert.doesNotMatch(told.stderr, /hunter2/);
});

test("run --trace tells what took how long", async () => {
  using bundle = new Bundle(["true"]);
  const trace = join(folder, "trace.json");
  await host.ok(["--trace", trace, "run", "-b", bundle.directory, host.id()]);
  const names = (JSON.parse(readFileSync(trace, "utf8")) as { name: string }[]).map(({ name }) => name);
  for (const phase of ["create", "start", "run"]) assert.ok(names.includes(phase), `${phase} in ${names}`);
});

test("run lets no container open the guest's own disk, whatever it may do; the host's devices are left out with a warning", async () => {
  const script = `
    read -r major minor _ < <(grep -w vda /proc/partitions)
    mknod /dev/disk b $major $minor && echo made
    head -c 0 /dev/disk || echo closed
    mount -t erofs /dev/disk /tmp || echo closed
    ls /dev/vda /dev/loop0; head -c 0 /dev/control && echo open`;
  using bundle = new Bundle(["sh", "-c", script]);
  symlinkSync("busybox", join(bundle.rootfs, "bin/mknod"));
  const all = ["CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SYS_RAWIO"];
  bundle.process.capabilities = { bounding: all, effective: all, permitted: all };
  const devices: Device[] = [
    { path: "/dev/vda", type: "c", major: 5, minor: 1 },
    { path: "/dev/loop0", type: "b", major: 7, minor: 0 },
    { path: "/dev/control", type: "c", major: 10, minor: 237 },
  ];
  bundle.spec.linux = { ...bundle.spec.linux, devices, resources: { devices: [{ allow: true, access: "rwm" }] } };
  bundle.write();
  const log = join(folder, "log");
  const result = await host.run(["--log", log, "run", "-b", bundle.directory, host.id()]);
  assert.equal(result.stdout, "made\nclosed\nclosed\n/dev/loop0\nopen\n", result.stderr);
  assert.match(readFileSync(log, "utf8"), /linux\.devices: .*left out: \/dev\/vda/);
  bundle.spec.linux.resources = { devices: [{ allow: false, access: "rwm" }] };
  bundle.write();
  const refused = await host.run(["run", "-b", bundle.directory, host.id()]);
  assert.match(errorOf(refused), /linux\.devices\[0\]: "\/dev\/vda" \(c 5:1\) is a device of the host/);
});

test("run lets who may load modules find the guest's, and has what the kernel does not load by itself", async () => {
  const script = `
    grep -q '^ip_tables ' /proc/modules && ls /proc/net/ip_tables_names
    ls /lib/modules | grep -c "$(uname -r)"
    modprobe dummy && grep -o '^dummy ' /proc/modules
    ls /given | grep -c "$(uname -r)"
    for type in xfs btrfs squashfs nfs4 cifs fuse exfat; do mount -t $type none /tmp 2>/dev/null; grep -ow $type /proc/filesystems; done`;
  using bundle = new Bundle(["sh", "-c", script]);
  symlinkSync("busybox", join(bundle.rootfs, "bin/modprobe"));
  const all = ["CAP_SYS_ADMIN", "CAP_SYS_MODULE"];
  bundle.process.capabilities = { bounding: all, effective: all, permitted: all };
  bundle.spec.mounts?.push({ destination: "/given", type: "bind", source: "/lib/modules", options: ["rbind", "ro"] });
  bundle.write();
  const { stdout, stderr } = await host.run(["run", "-b", bundle.directory, host.id()]);
  const loaded = "xfs btrfs squashfs nfs4 cifs fuse exfat".replaceAll(" ", "\n");
  assert.equal(stdout, `/proc/net/ip_tables_names\n1\ndummy \n1\n${loaded}\n`, stderr);
});
