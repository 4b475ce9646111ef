/** What must work with every engine. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { collect, until } from "../harness/host.ts";
import type { Engine } from "./engine.ts";

/**
 * Registers the tests.
 * @param skip why the engine cannot run here.
 * @returns the engine, once the tests run, and the options for further tests.
 */
export function engineCases(name: string, skip: string | undefined, start: () => Promise<Engine>) {
  const options = { skip: skip ?? false };
  let engine: Engine;
  before(async () => {
    if (skip === undefined) engine = await start();
  });
  after(async () => {
    if (skip === undefined) await engine[Symbol.asyncDispose]();
  });

  test(`${name} run: output, input, exit status`, options, async () => {
    const result = await engine.runContainer(["-i"], ["sh", "-c", "cat; echo err >&2; exit 7"], "in\n");
    assert.deepEqual(result, { exitCode: 7, stdout: "in\n", stderr: "err\n" });
  });

  for (const [exitCode, what, command] of [
    [127, "a command that does not exist", "nothere"],
    [126, "a command that is none", "/etc"],
  ] as const) {
    test(`${name} run returns ${exitCode} for ${what}`, options, async () => {
      assert.equal((await engine.runContainer([], [command])).exitCode, exitCode);
    });
  }

  test(`${name} run returns 125 when the engine itself fails`, options, async () => {
    assert.equal((await engine.runContainer(["--volume", "relative/:bad:bad"], [])).exitCode, 125);
  });

  test(`${name} run -it: a terminal with the size of the caller's`, options, async () => {
    const flags = ["run", "--rm", "-it", ...engine.runFlags, "--network", "none"];
    // Engines tell the size once the container runs.
    const script = "until stty size 2>/dev/null | grep -q 33.77; do sleep 0.1; done; tty; stty size";
    const output = await engine.onTerminal([...flags, "busybox", "sh", "-c", script]);
    assert.equal(output, "/dev/pts/0\n33 77\n");
  });

  test(`${name}: the life of a container in the background`, options, async () => {
    const script = "trap 'echo bye; exit 3' TERM; echo started; while :; do sleep 0.2; done";
    await engine.start("life", ["--hostname", "hhh"], "sh", "-c", script);
    const state = (field: string) => engine.inspect("life", `{{.State.${field}}}`);
    assert.equal(await state("Status"), "running");
    process.kill(Number(await state("Pid")), 0);

    assert.equal(await engine.ok(["exec", "life", "hostname"]), "hhh\n");
    assert.equal(await engine.ok(["exec", "-i", "life", "cat"], "typed"), "typed");
    assert.equal((await engine.run(["exec", "life", "sh", "-c", "exit 9"])).exitCode, 9);
    assert.equal((await engine.run(["exec", "life", "/etc"])).exitCode, 126);
    const flags = ["--user", "33:44", "--workdir", "/tmp", "--env", "A=b"];
    const asUser = await engine.ok(["exec", ...flags, "life", "sh", "-c", "id -u; id -g; pwd; echo $A"]);
    assert.equal(asUser, "33\n44\n/tmp\nb\n");
    assert.match(await engine.onTerminal(["exec", "-it", "life", "tty"]), /^\/dev\/pts\/\d+\n$/);
    await engine.ok(["exec", "-d", "life", "touch", "/tmp/detached"]);
    await until(async () => (await engine.run(["exec", "life", "test", "-f", "/tmp/detached"])).exitCode === 0);

    const stats = await engine.ok(["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", "life"]);
    assert.match(stats, /^life .*B \/ /);

    await engine.ok(["pause", "life"]);
    assert.equal(await state("Status"), "paused");
    await engine.ok(["unpause", "life"]);
    assert.equal(await state("Status"), "running");

    const followed = collect(engine.spawn(["logs", "-f", "life"]));
    const waited = engine.ok(["wait", "life"]);
    await engine.ok(["stop", "--time", "60", "life"]);
    // podman 4.3 stops following when it learns of the end, be the last lines read or not.
    assert.match((await followed).stdout, /^started\n(?:bye\n)?$/);
    assert.equal(await engine.ok(["logs", "life"]), "started\nbye\n");
    assert.equal((await waited).trim(), "3");
    assert.equal(await state("ExitCode"), "3");
    assert.equal(await engine.ok(["logs", "life"]), "started\nbye\n");

    await engine.ok(["start", "life"]);
    await engine.ok(["kill", "life"]);
    assert.equal((await engine.ok(["wait", "life"])).trim(), "137");
    await engine.ok(["start", "life"]);
    await engine.ok(["rm", "--force", "life"]);
    assert.notEqual((await engine.run(["inspect", "life"])).exitCode, 0);
  });

  test(`${name} run: limits`, options, async () => {
    const cgroup = "cd /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)";
    const script = `${cgroup}; cat memory.max cpu.max pids.max; ulimit -Sn; ulimit -Hn`;
    const flags = ["--memory", "200m", "--cpus", "0.5", "--pids-limit", "50", "--ulimit", "nofile=100:200"];
    assert.equal(await engine.print(flags, "sh", "-c", script), "209715200\n50000 100000\n50\n100\n200\n");
  });

  test(`${name} run: user, capabilities, no-new-privileges, seccomp`, options, async () => {
    const profile = join(engine.folder, "seccomp.json");
    const syscalls = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }];
    writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
    const flags = ["--user", "33:44", "--group-add", "99", "--cap-add", "SYS_TIME", "--cap-drop", "CHOWN"];
    const security = ["--security-opt", "no-new-privileges", "--security-opt", `seccomp=${profile}`];
    const script = "id -u; id -G; grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; mkdir /tmp/x 2>&1";
    const output = await engine.print([...flags, ...security], "sh", "-c", `${script}; true`);
    const [uid, groups, bounding = "", nnp, seccomp, mkdir] = output.split("\n");
    assert.deepEqual([uid, groups, nnp, seccomp], ["33", "44 99", "NoNewPrivs:\t1", "Seccomp:\t2"]);
    // capabilities(7): CAP_CHOWN is 0, CAP_SYS_TIME 25.
    const set = BigInt(`0x${bounding.split("\t")[1]}`);
    assert.deepEqual([set & 1n, (set >> 25n) & 1n], [0n, 1n]);
    assert.match(mkdir ?? "", /No space left on device/);
  });

  test(`${name} run has the engine's own filter by default, and none when told so`, options, async () => {
    const grep = ["grep", "^Seccomp:", "/proc/self/status"];
    assert.equal(await engine.print([], ...grep), "Seccomp:\t2\n");
    assert.equal(await engine.print(["--security-opt", "seccomp=unconfined"], ...grep), "Seccomp:\t0\n");
  });

  test(`${name} run: read-only root, tmpfs, volumes and files`, options, async () => {
    const volume = join(engine.folder, "volume");
    const file = join(engine.folder, "file");
    mkdirSync(volume);
    writeFileSync(join(volume, "inside"), "volume\n");
    writeFileSync(file, "file\n");
    const flags = ["--read-only", "--tmpfs", "/scratch:size=1m", "--volume", `${volume}:/rw`];
    flags.push("--volume", `${file}:/file`, "--volume", "named:/named");
    const script =
      "touch /x 2>/dev/null || echo refused; touch /scratch/y && echo scratch; cat /rw/inside /file; " +
      "echo new > /rw/new; echo more >> /file; echo n > /named/n; cat /named/n";
    assert.equal(await engine.print(flags, "sh", "-c", script), "refused\nscratch\nvolume\nfile\nn\n");
    assert.equal(readFileSync(join(volume, "new"), "utf8"), "new\n");
    assert.equal(readFileSync(file, "utf8"), "file\nmore\n");
  });

  test(`${name} run: one directory writable, read-only and by way of the one above it`, options, async () => {
    const volume = join(engine.folder, "shared");
    mkdirSync(join(volume, "below"), { recursive: true });
    const flags = ["--volume", `${volume}:/rw`, "--volume", `${volume}:/ro:ro`, "--volume", `${volume}/below:/below`];
    const script =
      "echo a > /rw/a; cat /ro/a; touch /ro/b 2>/dev/null || echo refused; echo c > /below/c; " +
      "cat /rw/below/c /ro/below/c; touch /ro/below/d 2>/dev/null || echo refused; echo e > /rw/below/e; cat /below/e";
    assert.equal(await engine.print(flags, "sh", "-c", script), "a\nrefused\nc\nc\nrefused\ne\n");
  });

  test(`${name} run: environment, host name, working directory, entrypoint, init`, options, async () => {
    const flags = ["--env", "A=b", "--hostname", "other", "--workdir", "/tmp", "--entrypoint", "/bin/sh", "--init"];
    const output = await engine.print(flags, "-c", "echo $A; hostname; pwd; echo $$");
    const [word, host, directory, pid] = output.split("\n");
    assert.deepEqual([word, host, directory], ["b", "other", "/tmp"]);
    assert.notEqual(pid, "1");
  });

  test(`${name} export and commit of a container that runs have what it has written and closed`, options, async () => {
    const write = "dd if=/dev/urandom of=/written bs=1M count=8 2>/dev/null; sha256sum < /written > /sum; sleep 1000";
    await engine.start("exported", [], "sh", "-c", write);
    await until(async () => (await engine.run(["exec", "exported", "test", "-s", "/sum"])).exitCode === 0);
    const archive = join(engine.folder, "exported.tar");
    await engine.ok(["export", "--output", archive, "exported"]);
    const file = (path: string) => execFileSync("tar", ["-xOf", archive, path], { maxBuffer: 16 * 1024 * 1024 });
    const sum = createHash("sha256").update(file("written")).digest("hex");
    assert.equal(file("sum").toString(), `${sum}  -\n`);
    await engine.ok(["commit", "exported", "localhost/caisson-committed"]);
    const command = ["sh", "-c", "sha256sum < /written; cat /sum"];
    const flags = ["run", "--rm", ...engine.runFlags, "--network", "none", "localhost/caisson-committed"];
    assert.equal(await engine.ok([...flags, ...command]), `${sum}  -\n`.repeat(2));
    await engine.ok(["kill", "exported"]);
    await engine.ok(["rm", "--force", "exported"]);
    await engine.ok(["rmi", "localhost/caisson-committed"]);
  });

  return { options, engine: () => engine };
}
