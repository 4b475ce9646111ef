import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../harness/host.ts";
import { Engine, IMAGE, options, RUNTIME, whyNot } from "./engine.ts";
import { Events } from "./events.ts";
import { nothingRemains } from "./remains.ts";

let engine: Engine;
before(async () => {
  if (whyNot !== undefined) return;
  engine = await Engine.start();
});
after(async () => {
  if (whyNot !== undefined) return;
  await engine.stop();
});

const RUN = ["run", "--rm", "--runtime", RUNTIME];

test("ctr run carries both outputs, the input and the exit code, and leaves nothing", options, async () => {
  const { status, stdout, stderr } = await engine.ctrWith(
    "words for it\n",
    ...RUN,
    IMAGE,
    "run",
    ...["sh", "-c", "cat; echo to stderr >&2; exit 7"],
  );
  assert.deepEqual({ status, stdout }, { status: 7, stdout: "words for it\n" });
  assert.match(stderr, /to stderr/);
  await nothingRemains(engine);
  assert.deepEqual(engine.bundles(), []);
});

test("ctr run with the native snapshotter", options, async () => {
  const { status, stdout } = await engine.ctr(
    ...RUN,
    "--snapshotter",
    "native",
    IMAGE,
    "native",
    "sh",
    "-c",
    "touch /x; ls /x",
  );
  assert.deepEqual({ status, stdout }, { status: 0, stdout: "/x\n" });
});

test("ctr run of a command that does not exist fails with its name", options, async () => {
  const { status, stderr } = await engine.ctr(...RUN, IMAGE, "missing", "/bin/no-such-command");
  assert.equal(status, 1);
  assert.match(stderr, /no-such-command/);
  await nothingRemains(engine);
});

test("ctr run with a terminal", options, async () => {
  // ctr tells the size once the container runs.
  const script = 'test -t 0 && until stty size | grep -q "33.111"; do sleep 0.1; done; stty size && echo on a terminal';
  const command = `ctr --address ${engine.socket} run --rm -t --runtime ${RUNTIME} ${IMAGE} terminal sh -c '${script}'`;
  const typescript = join(engine.folder, "typescript");
  execFileSync("script", ["-qec", `stty rows 33 cols 111; ${command}`, typescript], {
    stdio: ["ignore", "ignore", "ignore"],
    timeout: 200_000,
  });
  const shown = readFileSync(typescript, "utf8");
  assert.match(shown, /33 111\r+\n/);
  assert.match(shown, /on a terminal/);
});

test("ctr run --net-host is refused, and says why", options, async () => {
  const { status, stderr } = await engine.ctr(...RUN, "--net-host", IMAGE, "net-host", "true");
  assert.notEqual(status, 0);
  assert.match(stderr, /network/);
  await nothingRemains(engine);
});

test("ctr run -d comes back while the container runs, and ctr task attach shows its output", options, async () => {
  await engine.detached("ticks", "sh", "-c", "while sleep 0.1; do echo tick; done");
  assert.equal(await engine.status("ticks"), "RUNNING");
  const client = spawn("ctr", ["--address", engine.socket, "task", "attach", "ticks"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let shown = "";
  client.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
  });
  await until(() => /tick\ntick\n/.test(shown));
  client.kill("SIGKILL");
  assert.equal(await engine.status("ticks"), "RUNNING");
  await engine.remove("ticks");
});

test("ctr run --log-uri file://", options, async () => {
  const path = join(engine.folder, "logs", "output");
  await engine.need(
    "run",
    "--detach",
    "--log-uri",
    `file://${path}`,
    "--runtime",
    RUNTIME,
    IMAGE,
    "file",
    "sh",
    "-c",
    "echo one; echo two >&2",
  );
  await until(async () => (await engine.status("file")) === "STOPPED");
  assert.deepEqual(readFileSync(path, "utf8").trim().split("\n").sort(), ["one", "two"]);
  await engine.remove("file");
});

test("ctr run --log-uri binary://", options, async () => {
  const logger = join(engine.folder, "logger");
  const out = join(engine.folder, "logged");
  writeFileSync(logger, `#!/bin/sh\nexec 5>&-\n{ echo "$CONTAINER_NAMESPACE/$CONTAINER_ID $*"; cat <&3; } > ${out}\n`);
  chmodSync(logger, 0o755);
  await engine.need(
    "run",
    "--detach",
    "--log-uri",
    `binary://${logger}?tag=x`,
    "--runtime",
    RUNTIME,
    IMAGE,
    "binary",
    "echo",
    "logged",
  );
  await until(() => tryRead(out) === "default/binary tag x\nlogged\n");
  await until(async () => (await engine.status("binary")) === "STOPPED");
  await engine.remove("binary");
});

test(
  "ctr task: exec, ps, metrics, pause, resume, checkpoint, kill and delete, each with its event in order",
  options,
  async () => {
    using events = await Events.watch(engine);
    await engine.detached("life");
    const exec = (...words: string[]) =>
      engine.ctrWith("fed\n", "task", "exec", "--exec-id", `e${Math.random()}`, "life", ...words);
    assert.deepEqual(
      await exec("sh", "-c", "cat; hostname; exit 3").then(({ status, stdout }) => [status, stdout.split("\n")[0]]),
      [3, "fed"],
    );

    const metrics = JSON.parse(await engine.need("task", "metrics", "--format", "json", "life"));
    assert.ok(metrics.memory.usage > 0 && metrics.cpu.usage_usec > 0, JSON.stringify(metrics));
    assert.equal(metrics.pids.current, 1);

    assert.match(await engine.need("task", "ps", "life"), /\n\d+ /);
    await engine.need("task", "pause", "life");
    assert.equal(await engine.status("life"), "PAUSED");
    await engine.need("task", "resume", "life");
    assert.equal(await engine.status("life"), "RUNNING");

    const checkpoint = await engine.ctr("task", "checkpoint", "life");
    assert.notEqual(checkpoint.status, 0);
    assert.match(checkpoint.stderr, /cannot be checkpointed/);

    const early = await engine.ctr("task", "delete", "life");
    assert.notEqual(early.status, 0);
    await engine.need("task", "kill", "--signal", "SIGKILL", "life");
    const exit = await events.wait("life", "/tasks/exit");
    assert.equal(exit["exit_status"], 3, "the exec's own end is told first");
    await until(async () => (await engine.status("life")) === "STOPPED");
    const { stderr } = await engine.ctr("task", "delete", "life");
    assert.match(stderr, /137/);
    await events.wait("life", "/tasks/delete");
    // ctr pauses a container to checkpoint it.
    const topics = "create start exec-added exec-started exit paused resumed paused resumed exit delete".split(" ");
    assert.deepEqual(
      events.topics("life"),
      topics.map((name) => `/tasks/${name}`),
    );
    await engine.need("container", "delete", "life");
    await nothingRemains(engine);
  },
);

test("a process killed for the container's memory is in its metrics, and containerd is told", options, async () => {
  using events = await Events.watch(engine);
  const limit = 24 * 1024 * 1024;
  const run = (id: string, ...command: string[]) =>
    engine.need("run", "--detach", "--memory-limit", `${limit}`, "--runtime", RUNTIME, IMAGE, id, ...command);
  await run("survives", "sh", "-c", "tail /dev/zero; exec sleep 1000");
  await events.wait("survives", "/tasks/oom");
  assert.equal(await engine.status("survives"), "RUNNING");
  const metrics = JSON.parse(await engine.need("task", "metrics", "--format", "json", "survives"));
  assert.equal(metrics.memory.usage_limit, limit);
  const { oom, oom_kill: kills, max } = metrics.memory_events;
  assert.ok(oom >= 1 && kills >= 1 && max >= 1, JSON.stringify(metrics.memory_events));
  await engine.remove("survives");
  assert.ok(!events.topics("survives").slice(0, 2).includes("/tasks/oom"), "told after the start");

  await run("dies", "tail", "/dev/zero");
  assert.equal((await events.wait("dies", "/tasks/exit"))["exit_status"], 137);
  assert.deepEqual(
    events.topics("dies"),
    ["create", "start", "oom", "exit"].map((name) => `/tasks/${name}`),
  );
  await engine.remove("dies");
  await nothingRemains(engine);
});

function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
