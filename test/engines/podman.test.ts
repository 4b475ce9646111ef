import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { collect, until } from "../harness/host.ts";
import { Podman, whyNoPodman } from "./podman-host.ts";

const skip = whyNoPodman();
const options = { skip: skip ?? false };
let podman: Podman;
before(() => {
  if (skip === undefined) podman = new Podman();
});
after(async () => {
  if (skip === undefined) await podman[Symbol.asyncDispose]();
});

const NONE = ["--network", "none"];

test("podman run: output, input, exit status", options, async () => {
  const run = ["run", "--rm", "-i", ...NONE, "busybox"];
  const result = await podman.run([...run, "sh", "-c", "cat; echo err >&2; exit 7"], "in\n");
  assert.deepEqual(result, { exitCode: 7, stdout: "in\n", stderr: "err\n" });
});

for (const [exitCode, what, command] of [
  [127, "a command that does not exist", "nothere"],
  [126, "a command that is none", "/etc"],
] as const) {
  test(`podman run and exec return ${exitCode} for ${what}`, options, async () => {
    assert.equal((await podman.run(["run", "--rm", ...NONE, "busybox", command])).exitCode, exitCode);
  });
}

test("podman run returns 125 when podman itself fails", options, async () => {
  assert.equal((await podman.run(["run", "--rm", ...NONE, "--volume", "relative/:bad:bad", "busybox"])).exitCode, 125);
});

test("podman run -it: a terminal with the size of podman's", options, async () => {
  const command = podman.commandLine(["run", "--rm", "-it", ...NONE, "busybox", "sh", "-c", "tty; stty size"]);
  const { spawn } = await import("node:child_process");
  const child = spawn("script", ["-qec", `stty rows 33 cols 77; ${command}`, "/dev/null"]);
  assert.equal((await collect(child)).stdout.replaceAll("\r", ""), "/dev/pts/0\n33 77\n");
});

test("podman: the life of a container in the background", options, async () => {
  const script = "trap 'echo bye; exit 3' TERM; echo started; while :; do sleep 0.2; done";
  await podman.ok(["run", "-d", "--name", "life", "--hostname", "hhh", ...NONE, "busybox", "sh", "-c", script]);
  const state = async (field: string) =>
    (await podman.ok(["inspect", "life", "--format", `{{.State.${field}}}`])).trim();
  assert.equal(await state("Status"), "running");
  process.kill(Number(await state("Pid")), 0);

  assert.equal(await podman.ok(["exec", "life", "hostname"]), "hhh\n");
  assert.equal(await podman.ok(["exec", "-i", "life", "cat"], "typed"), "typed");
  assert.equal((await podman.run(["exec", "life", "sh", "-c", "exit 9"])).exitCode, 9);
  assert.equal((await podman.run(["exec", "life", "nothere"])).exitCode, 127);
  assert.equal((await podman.run(["exec", "life", "/etc"])).exitCode, 126);
  const flags = ["--user", "33:44", "--workdir", "/tmp", "--env", "A=b"];
  assert.equal(
    await podman.ok(["exec", ...flags, "life", "sh", "-c", "id -u; id -g; pwd; echo $A"]),
    "33\n44\n/tmp\nb\n",
  );
  const terminal = podman.commandLine(["exec", "-it", "life", "tty"]);
  const { spawn } = await import("node:child_process");
  const child = spawn("script", ["-qec", terminal, "/dev/null"]);
  assert.match((await collect(child)).stdout, /^\/dev\/pts\/\d+\r\n$/);
  await podman.ok(["exec", "-d", "life", "touch", "/tmp/detached"]);
  await until(async () => (await podman.run(["exec", "life", "test", "-f", "/tmp/detached"])).exitCode === 0);

  assert.match(await podman.ok(["top", "life", "--", "-ef"]), /1 (root|0) +sh -c trap/);
  assert.match(
    await podman.ok(["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", "life"]),
    /^life .*B \/ /,
  );

  await podman.ok(["pause", "life"]);
  assert.equal(await state("Status"), "paused");
  await podman.ok(["unpause", "life"]);
  assert.equal(await state("Status"), "running");

  const following = podman.spawn(["logs", "-f", "life"]);
  const followed = collect(following);
  await podman.ok(["stop", "--time", "20", "life"]);
  assert.equal((await followed).stdout, "started\nbye\n");
  assert.equal((await podman.ok(["wait", "life"])).trim(), "3");
  assert.equal(await state("ExitCode"), "3");
  assert.equal(await podman.ok(["logs", "life"]), "started\nbye\n");

  await podman.ok(["start", "life"]);
  await podman.ok(["kill", "life"]);
  assert.equal((await podman.ok(["wait", "life"])).trim(), "137");
  await podman.ok(["start", "life"]);
  await podman.ok(["rm", "--force", "--time", "0", "life"]);
  assert.equal((await podman.run(["container", "exists", "life"])).exitCode, 1);
});

test("podman run: limits", options, async () => {
  const script =
    "cd /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); cat memory.max cpu.max pids.max; ulimit -Sn; ulimit -Hn";
  const flags = ["--memory", "200m", "--cpus", "0.5", "--pids-limit", "50", "--ulimit", "nofile=100:200"];
  assert.equal(await podman.print(flags, "sh", "-c", script), "209715200\n50000 100000\n50\n100\n200\n");
});

test("podman run: user, capabilities, no-new-privileges, seccomp", options, async () => {
  const profile = join(podman.folder, "seccomp.json");
  const syscalls = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }];
  writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
  const flags = ["--user", "33:44", "--group-add", "99", "--cap-add", "SYS_TIME", "--cap-drop", "CHOWN"];
  const security = ["--security-opt", "no-new-privileges", "--security-opt", `seccomp=${profile}`];
  const script = "id -u; id -G; grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; mkdir /tmp/x 2>&1";
  const output = await podman.print([...flags, ...security], "sh", "-c", `${script}; true`);
  const [uid, groups, bounding = "", nnp, seccomp, mkdir] = output.split("\n");
  assert.deepEqual([uid, groups, nnp, seccomp], ["33", "44 99", "NoNewPrivs:\t1", "Seccomp:\t2"]);
  // capabilities(7): CAP_CHOWN is 0, CAP_SYS_TIME 25.
  const set = BigInt(`0x${bounding.split("\t")[1]}`);
  assert.deepEqual([set & 1n, (set >> 25n) & 1n], [0n, 1n]);
  assert.match(mkdir ?? "", /No space left on device/);
});

test("podman run has podman's own filter by default, and none when told so", options, async () => {
  const grep = ["grep", "^Seccomp:", "/proc/self/status"];
  assert.equal(await podman.print([], ...grep), "Seccomp:\t2\n");
  assert.equal(await podman.print(["--security-opt", "seccomp=unconfined"], ...grep), "Seccomp:\t0\n");
});

test("podman run: read-only root, tmpfs, volumes and files", options, async () => {
  const volume = join(podman.folder, "volume");
  const file = join(podman.folder, "file");
  mkdirSync(volume);
  writeFileSync(join(volume, "inside"), "volume\n");
  writeFileSync(file, "file\n");
  const flags = ["--read-only", "--tmpfs", "/scratch:size=1m", "--volume", `${volume}:/rw`];
  flags.push("--volume", `${file}:/file`, "--volume", "named:/named");
  const script =
    "touch /x 2>/dev/null || echo refused; touch /scratch/y && echo scratch; cat /rw/inside /file; echo new > /rw/new; " +
    "echo more >> /file; echo n > /named/n; cat /named/n";
  assert.equal(await podman.print(flags, "sh", "-c", script), "refused\nscratch\nvolume\nfile\nn\n");
  assert.equal(readFileSync(join(volume, "new"), "utf8"), "new\n");
  assert.equal(readFileSync(file, "utf8"), "file\nmore\n");
});

test("podman run: one directory writable, read-only and by way of the one above it", options, async () => {
  const volume = join(podman.folder, "shared");
  mkdirSync(join(volume, "below"), { recursive: true });
  const flags = ["--volume", `${volume}:/rw`, "--volume", `${volume}:/ro:ro`, "--volume", `${volume}/below:/below`];
  const script =
    "echo a > /rw/a; cat /ro/a; touch /ro/b 2>/dev/null || echo refused; echo c > /below/c; cat /rw/below/c /ro/below/c; " +
    "touch /ro/below/d 2>/dev/null || echo refused; echo e > /rw/below/e; cat /below/e";
  assert.equal(await podman.print(flags, "sh", "-c", script), "a\nrefused\nc\nc\nrefused\ne\n");
});

test("podman run: environment, host name, working directory, entrypoint, init", options, async () => {
  const flags = ["--env", "A=b", "--hostname", "other", "--workdir", "/tmp", "--entrypoint", "/bin/sh", "--init"];
  const output = await podman.print(flags, "-c", "echo $A; hostname; pwd; echo $$");
  const [word, host, directory, pid] = output.split("\n");
  assert.deepEqual([word, host, directory], ["b", "other", "/tmp"]);
  assert.notEqual(pid, "1");
});

test("podman healthcheck run", options, async () => {
  const health = ["--health-cmd", "test -f /tmp/ok", "--health-interval", "disable"];
  await podman.ok(["run", "-d", "--name", "health", ...NONE, ...health, "busybox", "sleep", "1000"]);
  assert.equal((await podman.run(["healthcheck", "run", "health"])).exitCode, 1);
  await podman.ok(["exec", "health", "touch", "/tmp/ok"]);
  assert.equal((await podman.run(["healthcheck", "run", "health"])).exitCode, 0);
  await podman.ok(["rm", "--force", "--time", "0", "health"]);
});

test("podman run says what cannot be carried out, and why", options, async () => {
  const { exitCode, stderr } = await podman.run(["run", "--rm", "--network", "host", "busybox", "true"]);
  assert.equal(exitCode, 126);
  assert.match(stderr, /linux\.namespaces.*network/);
});
