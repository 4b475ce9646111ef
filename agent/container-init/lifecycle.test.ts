import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  configOf,
  createInput,
  exec,
  NEEDS_ROOT,
  Rootfs,
  run,
  started,
  Trial,
} from "../../test/harness/agent/trial.ts";
import { compileCreate } from "../plan/plan.ts";
import { describeFailure } from "./step-error.ts";

const options = { skip: NEEDS_ROOT };
const FOREVER = configOf("", { process: { args: ["sleep", "1000"] } });
const alive = (pid: number) => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};
async function gone(pid: number): Promise<void> {
  for (let tries = 0; alive(pid); tries++) {
    if (tries === 6000) assert.fail(`process ${pid} is still there`);
    await delay(10);
  }
}

test("a created container waits for continue and runs nothing of its own before", options, async () => {
  using rootfs = new Rootfs();
  await using trial = new Trial(compileCreate(createInput(configOf("echo ran"), rootfs.path)));
  const report = await trial.next();
  assert.equal(report?.type, "reached");
  assert.equal(trial.plan.steps[report.index]?.barrier, "created");
  assert.match(readFileSync(`/proc/${report.pid}/comm`, "utf8"), /container-init/);
  trial.proceed();
  assert.deepEqual(await trial.next(), { type: "started", pid: report.pid });
});

test("the end of the stream kills a created and a running process", options, async () => {
  using rootfs = new Rootfs();
  const created = new Trial(compileCreate(createInput(FOREVER, rootfs.path)));
  const report = await created.next();
  assert.equal(report?.type, "reached");
  await created[Symbol.asyncDispose]();
  await gone(report.pid);
  const { trial, pid } = await started(rootfs, FOREVER);
  await trial[Symbol.asyncDispose]();
  await gone(pid);
});

test(
  "a container that waits reaps what others leave in its pid namespace, and what it runs then does not",
  options,
  async () => {
    using rootfs = new Rootfs();
    const config = configOf("", { process: { args: ["grep", "SigIgn", "/proc/self/status"] } });
    await using trial = new Trial(compileCreate(createInput(config, rootfs.path)));
    const report = await trial.next();
    assert.equal(report?.type, "reached");
    const orphan = "sleep 0.1 & echo $!";
    const script = `pid=$(sh -c '${orphan}' 2>/dev/null); for i in $(seq 600); do [ -e /proc/$pid ] || exit 0; sleep 0.05; done; cat /proc/$pid/status; exit 1`;
    const { exit, stdout } = await exec(config, report.pid, { args: ["sh", "-c", script] });
    assert.deepEqual([exit?.exitCode, stdout], [0, ""]);
    trial.proceed();
    assert.match((await trial.finish()).stdout, /^SigIgn:\t0{16}$/m);
  },
);

test("the death of container-init kills a process that has not started", options, async () => {
  using rootfs = new Rootfs();
  const trial = new Trial(compileCreate(createInput(FOREVER, rootfs.path)));
  const report = await trial.next();
  assert.equal(report?.type, "reached");
  trial.child.kill("SIGKILL");
  await gone(report.pid);
  assert.equal(await trial.next(), undefined);
});

test("an ended process keeps its pid until the stream is closed", options, async () => {
  using rootfs = new Rootfs();
  const { trial, pid } = await started(rootfs, configOf("exit 4"));
  assert.deepEqual(await trial.next(), { type: "exited", exitCode: 4, signal: 0 });
  assert.match(readFileSync(`/proc/${pid}/status`, "utf8"), /^State:\s+Z/m);
  await trial[Symbol.asyncDispose]();
  assert.throws(() => readFileSync(`/proc/${pid}/status`), /ENOENT/);
});

test("output ends when the container has closed it, though container-init lives", options, async () => {
  using rootfs = new Rootfs();
  const config = configOf("exec >&- 2>&-; exec sleep 1000");
  const { trial } = await started(rootfs, config);
  await using _ = trial;
  // The process may have ended while the trial started.
  if (trial.child.stdout?.readableEnded === false) await once(trial.child.stdout, "end");
  assert.equal(trial.child.exitCode, null);
});

test("createContainer hooks run in the container's namespaces, before the root is changed", options, async () => {
  using rootfs = new Rootfs();
  const seen = join(rootfs.folder("seen"), "state");
  const script = `cat > ${seen}; hostname >> ${seen}; test -d ${rootfs.path}/proc/self; cd proc/self && cd ../.. && pwd >> ${seen}`;
  const hooks = {
    createContainer: [{ path: "/bin/busybox", args: ["sh", "-c", script], env: ["PATH=/bin:/usr/bin"] }],
  };
  const config = configOf("echo ran", { config: { hooks } });
  await using trial = new Trial(compileCreate(createInput(config, rootfs.path)));
  const report = await trial.next();
  assert.equal(report?.type, "reached");
  assert.equal(trial.plan.steps[report.index]?.barrier, "createContainer");
  const points = readFileSync(`/proc/${report.pid}/mountinfo`, "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4]);
  assert.ok(points.includes(`${rootfs.path}/proc`) && points.includes(rootfs.path), String(points));
  trial.proceed('{"id":"x"}\n');
  const { error, stdout } = await trial.finish();
  assert.equal(error, undefined);
  assert.equal(readFileSync(seen, "utf8"), `{"id":"x"}\ntrial\n${rootfs.path}\n`);
  assert.equal(stdout, "ran\n");
});

test("createContainer hooks have a usual umask", options, async () => {
  using rootfs = new Rootfs();
  const seen = join(rootfs.folder("hooks"), "seen");
  const hooks = { createContainer: [{ path: "/bin/sh", args: ["sh", "-c", `umask > ${seen}`] }] };
  await using trial = new Trial(compileCreate(createInput(configOf("true", { config: { hooks } }), rootfs.path)));
  assert.equal((await trial.next())?.type, "reached");
  trial.proceed("{}");
  await trial.finish();
  assert.equal(readFileSync(seen, "utf8"), "0022\n");
});

test("startContainer hooks run in the container, with the state on stdin, before the program", options, async () => {
  using rootfs = new Rootfs();
  rootfs.file("hook", '#!/bin/sh\n/bin/busybox cat > /state; echo "$0 $1 $X" > /args; pwd >> /args\n', 0o755);
  const hooks = { startContainer: [{ path: "/hook", args: ["/hook", "one"], env: ["X=y"] }] };
  const config = configOf("cat /state /args", { config: { hooks }, process: { cwd: "/bin" } });
  await using trial = new Trial(compileCreate(createInput(config, rootfs.path)));
  assert.equal((await trial.next())?.type, "reached");
  const state = JSON.stringify({ id: "x", annotations: { long: "y".repeat(60_000) } });
  trial.proceed(`${state}\n`);
  const { stdout, exit } = await trial.finish();
  assert.equal(exit?.exitCode, 0);
  assert.deepEqual(stdout.trimEnd().split("\n"), [state, "/hook one y", "/bin"]);
});

for (const noNewPrivileges of [true, false]) {
  test(`startContainer hooks run under the filter with noNewPrivileges ${noNewPrivileges}`, options, async () => {
    using rootfs = new Rootfs();
    rootfs.file("hook", "#!/bin/sh\ngrep -w Seccomp /proc/self/status >> /hooks; env >> /hooks\n", 0o755);
    rootfs.file("etc/passwd", "u:x:7:8::/home/u:/bin/sh\n");
    rootfs.file("hooks", "", 0o666);
    const hooks = { startContainer: [{ path: "/hook" }, { path: "/hook", env: ["PATH=/bin", "X=y"] }] };
    const user = { uid: 7, gid: 8 };
    const env = ["PATH=/bin", "HOME="];
    const config = configOf("sort /hooks; env | grep HOME", {
      config: { hooks },
      process: { noNewPrivileges, user, env },
    });
    // BPF_RET | BPF_K, SECCOMP_RET_ALLOW.
    const program = Buffer.from("060000000000ff7f", "hex");
    await using trial = new Trial(
      compileCreate({ ...createInput(config, rootfs.path), seccomp: { program, flags: 0 } }),
    );
    assert.equal((await trial.next())?.type, "reached");
    trial.proceed("{}");
    const { stdout } = await trial.finish();
    const seen = stdout
      .trimEnd()
      .split("\n")
      .filter((line) => !line.startsWith("PATH=") && !/^(PWD|SHLVL|_)=/.test(line));
    assert.deepEqual(seen, ["HOME=/home/u", "Seccomp:\t2", "Seccomp:\t2", "X=y", "HOME=/home/u"]);
  });
}

test("a hook that fails, cannot be run or takes too long stops the start", options, async () => {
  using rootfs = new Rootfs();
  rootfs.file("hook", "#!/bin/sh\necho it is broken >&2\nexit 3\n", 0o755);
  const of = async (hook: { path: string; args?: string[]; timeout?: number }) => {
    const { error, stdout } = await run(
      rootfs,
      configOf("echo ran", { config: { hooks: { startContainer: [hook] } } }),
    );
    assert.equal(stdout, "");
    return `${error?.code} ${error?.message}`;
  };
  const prefix = "CAISSON_E_HOOK hooks.startContainer[0]";
  assert.equal(await of({ path: "/hook" }), `${prefix} "/hook": error running hook #0: exit status 3: it is broken`);
  const killed = { path: "/bin/sh", args: ["sh", "-c", "kill -SYS $$"] };
  assert.equal(await of(killed), `${prefix} "/bin/sh": error running hook #0: killed by signal 31 (bad system call)`);
  assert.match(await of({ path: "/absent" }), /error running hook #0: exit status 127: No such file or directory$/);
  const slow = { path: "/bin/sleep", args: ["sleep", "1000"], timeout: 1 };
  assert.equal(await of(slow), `${prefix} "/bin/sleep": error running hook #0: connection timed out (ETIMEDOUT)`);
});

test("a message that is no plan is refused", options, async () => {
  using rootfs = new Rootfs();
  const plan = compileCreate(createInput(FOREVER, rootfs.path));
  await using unknown = new Trial({ steps: [{ op: "writeFile", path: "/dev/null", data: "", field: "", task: "" }] });
  const failed = await unknown.next();
  assert.deepEqual(failed, { type: "failed", index: 1, errno: 74, detail: "" });
  assert.match(
    describeFailure(plan, { ...failed, index: 2 ** 32 - 1 }).message,
    /^container-init failed before its first step: EBADMSG$/,
  );
  await using early = new Trial(plan);
  early.proceed();
  early.control.write(Buffer.from([1, 0, 0, 0, 9]));
  for (let report = await early.next(); report !== undefined; report = await early.next())
    assert.notEqual(report.type, "exited");
});
