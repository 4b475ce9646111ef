/** What is killed, full or missing: `state` says stopped, `delete` succeeds, and nothing is left. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Bundle } from "../harness/bundle.ts";
import { collect, detached, errorOf, Host, until } from "../harness/host.ts";
import { isRunning, qemusOf, startedDaemon, virtiofsdsOf } from "../harness/qemu.ts";

const host = new Host();
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(() => host[Symbol.asyncDispose]());

async function daemonOf(id: string): Promise<number> {
  return JSON.parse(await host.ok(["state", id])).pid;
}

async function qemuOf(id: string): Promise<number> {
  return qemusOf(await daemonOf(id))[0] ?? assert.fail(`container ${id} has no QEMU`);
}

async function virtiofsdOf(id: string): Promise<number> {
  const [, served] = virtiofsdsOf(await daemonOf(id));
  return served ?? assert.fail("virtiofsd has no child");
}

async function stopsAndGoes(id: string): Promise<void> {
  await host.stopped(id);
  for (const verb of ["kill", "pause", "start"]) assert.equal((await host.run([verb, id])).exitCode, 1);
  await host.ok(["delete", id]);
}

test("kill -9 of the daemon of a running container", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  process.kill(await daemonOf(id), "SIGKILL");
  await stopsAndGoes(id);
});

test("kill -9 of the daemon of a created container", async () => {
  using bundle = new Bundle();
  const id = host.id();
  await detached(host, ["create", "-b", bundle.directory, id]);
  process.kill(await daemonOf(id), "SIGKILL");
  await stopsAndGoes(id);
});

test("kill -9 of QEMU of a running container", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  process.kill(await qemuOf(id), "SIGKILL");
  await stopsAndGoes(id);
});

test("kill -9 of QEMU, virtiofsd or the daemon under a foreground run is a failure that says so, within a second", async () => {
  const victims: [(id: string) => Promise<number>, RegExp][] = [
    [qemuOf, /container .* is lost.*(SIGKILL|signal 9|killed)/i],
    [virtiofsdOf, /container .* is lost.*virtiofsd, which serves its files, /i],
    [daemonOf, /container .* is lost.*SIGKILL has ended the sandbox daemon/i],
  ];
  for (const [pidOf, sentence] of victims) {
    using bundle = new Bundle(["sh", "-c", "echo ready; sleep 1000"]);
    const id = host.id();
    const child = host.spawn(["run", "-b", bundle.directory, id]);
    const ended = collect(child);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    const victim = await pidOf(id);
    const killed = performance.now();
    process.kill(victim, "SIGKILL");
    const result = await ended;
    const tookMs = performance.now() - killed;
    assert.match(errorOf(result), sentence);
    assert.equal(result.exitCode, 255);
    assert.ok(tookMs < 1000, `it took ${tookMs} ms`);
  }
});

test("a guest whose kernel panics is a failure that says so", async () => {
  using bundle = new Bundle(["sh", "-c", "echo c > /proc/sysrq-trigger; sleep 1000"]);
  const { linux, process: spec } = bundle.spec;
  if (linux) linux.readonlyPaths = [];
  const all = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"];
  if (spec) spec.capabilities = { bounding: all, effective: all, permitted: all };
  bundle.write();
  const result = await host.run(["run", "-b", bundle.directory, host.id()]);
  assert.equal(result.exitCode, 255);
  assert.match(errorOf(result), /panic/i);
});

test("kill -9 of a foreground run ends its container", async () => {
  using bundle = new Bundle(["sh", "-c", "echo ready; sleep 1000"]);
  const id = host.id();
  const child = host.spawn(["run", "-b", bundle.directory, id]);
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  child.kill("SIGKILL");
  await stopsAndGoes(id);
});

for (const afterMs of [60, 150, 400, 900]) {
  test(`kill -9 of create after ${afterMs} ms`, async () => {
    using bundle = new Bundle();
    const id = host.id();
    const child = host.spawn(["create", "-b", bundle.directory, id]);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await sleep(afterMs);
    child.kill("SIGKILL");
    await ended;
    for (const stream of [child.stdout, child.stderr]) stream?.destroy();
    // What had begun is taken back by the daemon, or is a stopped container that delete removes.
    await until(async () => {
      const { exitCode, stdout } = await host.run(["state", id]);
      if (exitCode !== 0) return !host.leftovers().some((line) => line.startsWith("process"));
      return ["stopped", "created"].includes(JSON.parse(stdout).status);
    });
    await host.ok(["delete", "--force", id]);
    await until(() => host.leftovers().length === 0);
  });
}

test("kill -9 of create before its daemon has read what it is to create leaves nothing", async () => {
  using bundle = new Bundle();
  const id = host.id();
  // One that is restored would have read it before it is found.
  const child = host.spawn(["create", "-b", bundle.directory, id], { env: { NODE_OPTIONS: "" } });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let daemon: number | undefined;
  await until(() => {
    daemon = startedDaemon(child.pid ?? assert.fail("create has not started"));
    return daemon !== undefined;
  });
  if (daemon === undefined) return;
  process.kill(daemon, "SIGSTOP");
  // Longer than it takes to ask.
  await sleep(1000);
  child.kill("SIGKILL");
  await ended;
  for (const stream of [child.stdout, child.stderr]) stream?.destroy();
  process.kill(daemon, "SIGCONT");
  await until(() => !isRunning(daemon ?? 0));
  assert.deepEqual(await host.remains(), []);
});

test("kill -9 of the daemon while it creates", async () => {
  using bundle = new Bundle();
  // The process creates for as long as it lives.
  const args = ["sh", "-c", "while kill -0 $PPID; do sleep 0.1; done"];
  bundle.spec.hooks = { createRuntime: [{ path: "/bin/sh", args, env: ["PATH=/usr/bin:/bin"] }] };
  bundle.write();
  const id = host.id();
  const child = host.spawn(["create", "-b", bundle.directory, id]);
  const ended = collect(child);
  await until(async () => (await host.run(["state", id])).exitCode === 0);
  process.kill(await daemonOf(id), "SIGKILL");
  const result = await ended;
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /daemon ended before it answered/);
  await host.ok(["delete", "--force", id]);
  await until(() => host.leftovers().length === 0);
});

test("a state directory from before a reboot is a stopped container", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  const file = join(host.root, id, "state.json");
  const record = JSON.parse(readFileSync(file, "utf8"));
  await host.ok(["delete", "-f", id]);

  mkdirSync(join(host.root, id));
  // This test's own pid: alive, but not what was meant.
  const daemon = { ...record.daemon, pid: process.pid, bootId: "00000000-0000-0000-0000-000000000000" };
  writeFileSync(file, JSON.stringify({ ...record, daemon }));
  assert.equal(await host.status(id), "stopped");
  assert.equal((await host.run(["exec", id, "true"])).exitCode, 255);
  await host.ok(["delete", id]);
});

test("a full disk under the state directory", async () => {
  const small = mkdtempSync(join(tmpdir(), "caisson-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", small]);
  try {
    writeFileSync(join(small, "filler"), Buffer.alloc(16 * 1024));
  } catch {
    // Full.
  }
  using bundle = new Bundle();
  try {
    const full = new Host(small);
    const result = await full.run(["run", "-b", bundle.directory, full.id()]);
    assert.equal(result.exitCode, 1);
    assert.match(errorOf(result), /no space left on device \(ENOSPC\)/);
    assert.deepEqual(full.leftovers(), [`state directory ${join(small, "filler")}`]);
  } finally {
    execFileSync("umount", [small]);
    rmSync(small, { recursive: true });
  }
});

test("a state directory that runs out of inodes, at whatever moment", async () => {
  const small = mkdtempSync(join(tmpdir(), "caisson-inodes-"));
  using bundle = new Bundle(["true"]);
  bundle.write();
  try {
    // The first number is for the directory itself; with the last number everything fits.
    for (const inodes of [1, 2, 3, 4, 5, 6, 7, 20]) {
      execFileSync("mount", ["-t", "tmpfs", "-o", `nr_inodes=${inodes}`, "tmpfs", small]);
      try {
        const full = new Host(small);
        const result = await full.run(["run", "-b", bundle.directory, full.id()]);
        if (inodes === 20) assert.equal(result.exitCode, 0, result.stderr);
        if (result.exitCode !== 0) {
          assert.match(errorOf(result), /no space left on device \(ENOSPC\)/, `${inodes} inodes`);
          assert.match(result.stderr, /CAISSON_E_STORAGE/);
          assert.equal(result.stderr.trimEnd().split("\n").length, 1, result.stderr);
        }
        assert.deepEqual(await full.remains(), [], `${inodes} inodes`);
      } finally {
        execFileSync("umount", [small]);
      }
    }
  } finally {
    rmSync(small, { recursive: true });
  }
});

test("start and pause on a state directory that has become full do nothing, and work when there is space", async () => {
  const small = mkdtempSync(join(tmpdir(), "caisson-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", small]);
  using bundle = new Bundle();
  const full = new Host(small);
  const filler = join(small, "filler");
  const fill = () => {
    try {
      for (;;) appendFileSync(filler, Buffer.alloc(4096));
    } catch {
      // Full.
    }
  };
  try {
    const id = full.id();
    await detached(full, ["create", "-b", bundle.directory, id]);
    for (const [verb, before, after] of [
      ["start", "created", "running"],
      ["pause", "running", "paused"],
      ["resume", "paused", "running"],
    ] as const) {
      fill();
      const refused = await full.run([verb, id]);
      assert.equal(refused.exitCode, 1, verb);
      assert.match(errorOf(refused), /cannot write the state record .*\(ENOSPC\)/);
      assert.equal(await full.status(id), before);
      rmSync(filler);
      await full.ok([verb, id]);
      assert.equal(await full.status(id), after);
    }
    fill();
    await full.ok(["kill", id, "KILL"]);
    await full.stopped(id);
    await full.ok(["delete", id]);
    rmSync(filler);
    assert.deepEqual(await full.remains(), []);
  } finally {
    await full.clear();
    execFileSync("umount", [small]);
    rmSync(small, { recursive: true });
  }
});

test("a state directory on a read-only file system", async () => {
  const fixed = mkdtempSync(join(tmpdir(), "caisson-ro-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", fixed]);
  using bundle = new Bundle();
  try {
    const result = await host.run(["--root", fixed, "run", "-b", bundle.directory, host.id()]);
    assert.equal(result.exitCode, 1);
    assert.match(errorOf(result), /read-only file system \(EROFS\)/);
  } finally {
    execFileSync("umount", [fixed]);
    rmSync(fixed, { recursive: true });
  }
});
