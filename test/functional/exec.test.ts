import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { processIdentity } from "../../runtime/state/process-identity.ts";
import { Bundle } from "../harness/bundle.ts";
import { collect, detached, errorOf, Host, PROGRAM, until } from "../harness/host.ts";
import { ConsoleSocket, PidfdSocket, Terminal } from "../harness/terminal.ts";

const host = new Host();
const bundle = new Bundle();
const folder = mkdtempSync(join(tmpdir(), "caisson-exec-"));
let id: string;

before(async () => {
  bundle.process.env = ["PATH=/bin", "OWN=1"];
  bundle.write();
  id = await host.start(bundle);
});
after(async () => {
  await host.ok(["delete", "-f", id]);
  assert.deepEqual(await host.remains(), []);
  bundle[Symbol.dispose]();
  rmSync(folder, { recursive: true });
  await host[Symbol.asyncDispose]();
});

/** The processes of the container besides its first. */
async function others(): Promise<number> {
  return (await host.pids(id)).length - 1;
}

test("exec passes output, errors, input and the exit status through", async () => {
  const result = await host.run(["exec", id, "sh", "-c", "cat; echo err >&2; exit 7"], { input: "in\n" });
  assert.deepEqual(result, { exitCode: 7, stdout: "in\n", stderr: "err\n" });
});

test("shell runs in the guest itself, outside of the container, once the settings allow it", async () => {
  const refused = await host.run(["shell", id, "id", "-u"]);
  assert.equal(refused.exitCode, 1);
  assert.match(errorOf(refused), /guest_shell is off.*set guest_shell = "on"/);

  const settings = join(folder, "shell.toml");
  writeFileSync(settings, 'guest_shell = "on"\n');
  const shell = (...args: string[]) =>
    host.run(["--config", settings, "shell", id, ...args], { input: "in\n", limitMs: 30_000 });
  const result = await shell(
    "sh",
    "-c",
    "cat; ps -o comm | grep -c container-init; ip -o link | head -1; strace -V | head -1; exit 3",
  );
  assert.equal(result.exitCode, 3, result.stderr);
  assert.match(result.stdout, /^in\n[1-9]\d*\n1: lo.*\nstrace -- version /);
  assert.equal((await shell("test", "-e", "/run/caisson/share")).exitCode, 0, "it sees what no container does");

  const sleeper = host.spawn(["--config", settings, "shell", id, "sh", "-c", "echo $$; exec sleep 1000"]);
  const [pid] = (await once(sleeper.stdout as Readable, "data")) as [Buffer];
  const lives = async () => (await shell("kill", "-0", String(pid).trim())).exitCode === 0;
  assert.ok(await lives());
  sleeper.kill("SIGKILL");
  await until(async () => !(await lives()));
});

test("exec leaves the command's own flags alone", async () => {
  assert.equal(await host.ok(["exec", id, "echo", "-n", "--tty", "-d"]), "--tty -d");
});

test("exec --user --additional-gids --cwd --env shape the process", async () => {
  const flags = ["--user", "1000:100", "-g", "5", "-g", "6", "--cwd", "/tmp", "-e", "A=b c", "--env", "OWN=2"];
  const script = "id -u; id -g; id -G; pwd; echo $A; echo $OWN";
  assert.equal(await host.ok(["exec", ...flags, id, "sh", "-c", script]), "1000\n100\n100 5 6\n/tmp\nb c\n2\n");
});

test("exec --cap and --no-new-privs shape the process", async () => {
  const status = async (...flags: string[]) => await host.ok(["exec", ...flags, id, "cat", "/proc/self/status"]);
  const NET_ADMIN = 1n << 12n;
  const effective = (text: string) => BigInt(`0x${/^CapEff:\s+(\S+)/m.exec(text)?.[1]}`);
  assert.equal(effective(await status()) & NET_ADMIN, 0n);
  assert.equal(effective(await status("--cap", "CAP_NET_ADMIN")) & NET_ADMIN, NET_ADMIN);
  assert.match(await status("--no-new-privs"), /^NoNewPrivs:\s+1$/m);
});

test("exec --process runs what the file says", async () => {
  const path = join(folder, "process.json");
  writeFileSync(
    path,
    JSON.stringify({ args: ["sh", "-c", "echo $0 $X; pwd"], env: ["PATH=/bin", "X=1"], cwd: "/root" }),
  );
  assert.equal(await host.ok(["exec", "--process", path, id]), "sh 1\n/root\n");
  const both = await host.run(["exec", "-p", path, id, "ls"]);
  assert.equal(both.exitCode, 255);
  assert.match(errorOf(both), /a command and --process cannot both say what to run/);
  writeFileSync(path, JSON.stringify({ args: ["sh"], cwd: "root", user: { uid: "root" } }));
  const wrong = await host.run(["exec", "-p", path, id]);
  assert.equal(wrong.exitCode, 255);
  assert.match(errorOf(wrong), /process\.user\.uid: must be an unsigned 32-bit integer, not "root"/);
});

test("exec --process reads pipes: standard input, <(...) and a FIFO", async () => {
  const wanted = JSON.stringify({ args: ["echo", "hi"], env: ["PATH=/bin"], cwd: "/" });
  const fifo = join(folder, "fifo");
  const scripts = [
    'printf %s "$W" | "$0" --root "$1" exec -p /dev/stdin "$2"',
    '"$0" --root "$1" exec -p <(sleep 0.1; printf %s "$W") "$2"',
    `mkfifo ${fifo}; { sleep 0.1; printf %s "$W" >${fifo}; } & "$0" --root "$1" exec -p ${fifo} "$2"; wait`,
  ];
  for (const script of scripts) {
    const child = spawn("bash", ["-c", script, PROGRAM, host.root, id], {
      env: { ...process.env, W: wanted },
      stdio: ["ignore", "pipe", "pipe"],
    });
    assert.deepEqual(await collect(child), { exitCode: 0, stdout: "hi\n", stderr: "" }, script);
  }
  const endless = await host.run(["exec", "-p", "/dev/zero", id]);
  assert.equal(endless.exitCode, 255);
  assert.match(errorOf(endless), /\/dev\/zero is too large: it has more, and at most \d+ bytes are read/);
});

for (const [args, exitCode, message] of [
  [["nothere"], 255, /"nothere".*no such file or directory/],
  [["/etc"], 255, /"\/etc".*permission denied/],
  [[], 255, /process args cannot be empty/],
] as const) {
  test(`exec of ${JSON.stringify(args)} ends with ${exitCode}`, async () => {
    const result = await host.run(["exec", id, ...args]);
    assert.equal(result.exitCode, exitCode);
    assert.match(errorOf(result), message);
  });
}

for (const [flags, message] of [
  [["--user", "bob"], /--user: "bob" is not a user and group as <uid>\[:<gid>\]/],
  [["--env", "NOEQUALS"], /--env: "NOEQUALS" is not a variable as NAME=value/],
  [["--cwd", "relative"], /process\.cwd: must be an absolute path, not "relative"/],
  [["--cwd", "/none"], /"\/none".*no such file or directory/],
  [["--apparmor", "x"], /--apparmor is not supported: the guest's kernel runs without AppArmor/],
  [["--process-label", "x"], /--process-label is not supported/],
  [["--cgroup", "x"], /has no cgroup "x" below its own/],
  [["--preserve-fds", "1"], /--preserve-fds 1 is not supported/],
  [["--process", "/none"], /cannot read \/none: no such file or directory/],
  [["--tty"], /wants a terminal, but none of stdin, stdout and stderr is one/],
  [["--tty", "--detach"], /cannot allocate tty if caisson will detach without setting console socket/],
  [["--console-socket", "/x"], /cannot use console socket if caisson will not detach or allocate tty/],
] as const) {
  test(`exec ${flags.join(" ")} is refused`, async () => {
    const command = flags[0] === "--process" ? [] : ["true"];
    const result = await host.run(["exec", ...flags, id, ...command]);
    assert.equal(result.exitCode, 255);
    assert.match(errorOf(result), message);
  });
}

test("exec forwards signals", async () => {
  const script = "trap 'echo caught; exit 3' USR1; echo ready; sleep 1000 & wait";
  const child = host.spawn(["exec", id, "sh", "-c", script]);
  child.stdout?.once("data", () => child.kill("SIGUSR1"));
  assert.deepEqual(await collect(child), { exitCode: 3, stdout: "ready\ncaught\n", stderr: "" });
  await host.ok(["kill", "--all", id, "0"]);
});

test("exec that is killed takes its process along", async () => {
  const before = await others();
  const child = host.spawn(["exec", id, "sleep", "1003"]);
  await until(async () => (await others()) > before);
  child.kill("SIGKILL");
  await until(async () => (await others()) === before);
});

test("exec --detach leaves it running with nobody", async () => {
  const before = await others();
  await detached(host, ["exec", "--detach", id, "sleep", "1004"]);
  await until(async () => (await others()) === before + 1);
});

test("exec --detach --pid-file names a process that lives, dies and is signalled as the one inside", async () => {
  const pidFile = join(folder, "pid");
  const started = Date.now();
  using socket = new PidfdSocket();
  await detached(host, ["exec", "-d", "--pid-file", pidFile, "--pidfd-socket", socket.path, id, "sleep", "1"]);
  const pid = Number(readFileSync(pidFile, "utf8"));
  assert.equal(await socket.pid, pid);
  await until(() => processIdentity(pid) === undefined);
  assert.ok(Date.now() - started >= 1000);

  const before = await others();
  await detached(host, ["exec", "-d", "--pid-file", pidFile, id, "sleep", "1005"]);
  process.kill(Number(readFileSync(pidFile, "utf8")), "SIGTERM");
  await until(async () => (await others()) === before);
  await detached(host, ["exec", "-d", "--pid-file", pidFile, id, "sleep", "1006"]);
  process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL");
  await until(async () => (await others()) === before);
});

test("exec --detach of a command that does not exist fails", async () => {
  const result = await host.run(["exec", "-d", "--pid-file", join(folder, "none"), id, "nothere"]);
  assert.equal(result.exitCode, 255);
  assert.throws(() => readFileSync(join(folder, "none")), { code: "ENOENT" });
});

test("exec --tty runs on the caller's terminal, whose modes it gives back", async () => {
  using terminal = new Terminal();
  const { screen } = terminal;
  screen.resize(33, 101);
  const modes = terminal.modes();
  const ended = collect(terminal.spawn(host.root, ["exec", "--tty", id, "sh"]));
  await screen.shows(/# /);
  screen.type("stty size\n");
  await screen.shows(/33 101/);
  screen.resize(44, 111);
  screen.type("until stty size | grep '44.111'; do sleep 0.1; done\n");
  await screen.shows(/44 111/);
  screen.type("exit 5\n");
  assert.equal((await ended).exitCode, 5);
  assert.equal(terminal.modes(), modes.replace("rows 33; columns 101", "rows 44; columns 111"));
});

test("exec of a process with a consoleSize, on a terminal without one", async () => {
  using terminal = new Terminal();
  const path = join(folder, "sized.json");
  const sized = { args: ["/bin/stty", "size"], cwd: "/", terminal: true, consoleSize: { height: 10, width: 110 } };
  writeFileSync(path, JSON.stringify(sized));
  const ended = collect(terminal.spawn(host.root, ["exec", "-p", path, id]));
  await terminal.screen.shows(/10 110/);
  assert.equal((await ended).exitCode, 0);
});

test("exec --tty --detach sends the terminal over --console-socket", async () => {
  using socket = new ConsoleSocket();
  await detached(host, ["exec", "-t", "-d", "--console-socket", socket.path, id, "sh"]);
  using screen = await socket.screen;
  screen.resize(20, 60);
  screen.type("until stty size | grep '20.60'; do sleep 0.1; done\n");
  await screen.shows(/20 60/);
  screen.type("exit\n");
});

test("exec in a paused container needs --ignore-paused, and then waits for it", async () => {
  await host.ok(["pause", id]);
  const refused = await host.run(["exec", id, "true"]);
  assert.equal(refused.exitCode, 255);
  assert.match(errorOf(refused), /cannot exec in a paused container \(use --ignore-paused to override\)/);
  const waiting = host.run(["exec", "--ignore-paused", id, "echo", "thawed"]);
  await host.ok(["resume", id]);
  assert.deepEqual(await waiting, { exitCode: 0, stdout: "thawed\n", stderr: "" });
});

test("exec in a created container runs beside the process that waits", async () => {
  using waiting = new Bundle(["sleep", "1000"]);
  const created = host.id();
  await detached(host, ["create", "-b", waiting.directory, created]);
  assert.equal(await host.ok(["exec", created, "hostname"]), "caisson\n");
  assert.equal(await host.status(created), "created");
  await host.ok(["start", created]);
  await host.ok(["delete", "-f", created]);
});

test("exec in a stopped container is refused", async () => {
  using short = new Bundle(["true"]);
  const stopped = host.id();
  await host.ok(["run", "--keep", "-b", short.directory, stopped]);
  const result = await host.run(["exec", stopped, "true"]);
  assert.equal(result.exitCode, 255);
  assert.match(errorOf(result), /cannot exec in a stopped container/);
  await host.ok(["delete", stopped]);
});

test("exec in a container that has passed its controllers on begins where init is, or where --cgroup says", async () => {
  const script =
    "cd /sys/fs/cgroup && mkdir init other && echo 1 > init/cgroup.procs && echo +memory > cgroup.subtree_control";
  using delegating = new Bundle(["sh", "-c", `${script} && touch /tmp/ready; exec sleep 1000`]);
  for (const mount of delegating.spec.mounts ?? []) {
    if (mount.destination === "/sys/fs/cgroup")
      mount.options = mount.options?.filter((option) => option !== "ro") ?? [];
  }
  delegating.write();
  const delegated = await host.start(delegating);
  const where = (...flags: string[]) => host.run(["exec", ...flags, delegated, "cat", "/proc/self/cgroup"]);
  await until(() => existsSync(join(delegating.rootfs, "tmp/ready")));
  assert.deepEqual(await where(), { exitCode: 0, stdout: "0::/init\n", stderr: "" });
  assert.equal((await where("--cgroup", "other")).stdout, "0::/other\n");
  assert.equal((await where("--cgroup", "/init/")).stdout, "0::/init\n");
  for (const [cgroup, why] of [
    ["/", /joining the cgroup failed: .*\(EBUSY\)/],
    ["none", /has no cgroup "none"/],
    ["..", /has no cgroup "\.\."/],
    ["memory:/init", /cgroup v2 alone/],
  ] as const) {
    const refused = await where("--cgroup", cgroup);
    assert.equal(refused.exitCode, 255);
    assert.match(errorOf(refused), why);
  }
  await host.ok(["delete", "-f", delegated]);
});
