/** Commands that native/launch hands over to the daemon: no Node.js runs for them, and nobody can tell from what they say. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { processIdentity } from "../../runtime/state/process-identity.ts";
import { Bundle } from "../harness/bundle.ts";
import { collect, detached, errorOf, Host, until } from "../harness/host.ts";
import { qemusOf } from "../harness/qemu.ts";

const OUT = join(import.meta.dirname, "../../out");
const LAUNCH = join(OUT, "native/launch");
const SCRIPT = join(OUT, "caisson.cjs");

const folder = mkdtempSync(join(tmpdir(), "caisson-handed-"));
// Longer than a socket's address.
const host = new Host(mkdtempSync(join(tmpdir(), `caisson-${"r".repeat(100)}`)));
const bundle = new Bundle();
let id: string;

before(async () => {
  bundle.process.env = ["PATH=/bin"];
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

/** The launcher where Node.js is not to be found. */
const alone = (...words: string[]) => spawn(LAUNCH, ["/none", SCRIPT, "caisson", "--root", host.root, ...words]);
/** The command line as it is without the launcher. */
const whole = (...words: string[]) => spawn(join(OUT, "node"), [SCRIPT, "caisson", "--root", host.root, ...words]);
const handed = (...words: string[]) => host.spawn(words);

async function others(): Promise<number> {
  return (await host.pids(id)).length - 1;
}

test("exec, kill, pause, resume and start need no Node.js of their own", async () => {
  const result = await collect(alone("exec", "-e", "A=b c", id, "sh", "-c", 'echo "$A"; echo err >&2; exit 7'));
  assert.deepEqual(result, { exitCode: 7, stdout: "b c\n", stderr: "err\n" });
  for (const words of [
    ["kill", id, "0"],
    ["pause", id],
    ["kill", "--all", id, "WINCH"],
    ["resume", id],
  ]) {
    assert.deepEqual(await collect(alone(...words)), { exitCode: 0, stdout: "", stderr: "" }, words.join(" "));
  }
  const created = host.id();
  await detached(host, ["create", "-b", bundle.directory, created]);
  assert.equal((await collect(alone("start", created))).exitCode, 0);
  assert.equal(await host.status(created), "running");
  await host.ok(["delete", "-f", created]);
});

test("what is said, logged and returned is what the command line itself says", async () => {
  let log = 0;
  const logged = async (start: (...words: string[]) => ChildProcess, words: readonly string[], format: string[]) => {
    const path = join(folder, `log-${log++}`);
    const result = await collect(start(...(format.length > 0 ? ["--log", path, ...format] : []), ...words));
    const lines = format.length > 0 ? readFileSync(path, "utf8") : "";
    const timeless = (text: string) => text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
    return { ...result, stderr: timeless(result.stderr), log: timeless(lines) };
  };
  for (const words of [
    ["start", id],
    ["kill", id, "NOPE"],
    ["kill", "none", "9"],
    ["resume", id],
    ["exec", id, "nothere"],
    ["exec", id, "/etc"],
    ["exec", id],
    ["exec", "none", "true"],
    ["exec", "--user", "bob", id, "true"],
    ["exec", "--cwd", "/none", id, "true"],
  ]) {
    for (const format of [[], ["--log-format", "text"], ["--log-format", "json"]]) {
      assert.deepEqual(await logged(handed, words, format), await logged(whole, words, format), words.join(" "));
    }
  }
});

test("exec's streams may be closed, full, a file or the null device", async () => {
  const shell = async (line: string) => {
    const { exitCode, stdout } = await collect(
      spawn("sh", ["-c", line, "sh", LAUNCH, "/none", SCRIPT, "caisson", "--root", host.root, "exec", id]),
    );
    return [exitCode, stdout];
  };
  assert.deepEqual(await shell('"$@" sh -c "cat; exit 3" <&- >&- 2>&-; echo $?'), [0, "3\n"]);
  assert.deepEqual(await shell('"$@" cat </etc/hostname'), [0, readFileSync("/etc/hostname", "utf8")]);
  assert.deepEqual(await shell('"$@" sh -c "cat; echo x" </dev/null'), [0, "x\n"]);
  assert.deepEqual(await shell('"$@" sh -c "echo x; exit 4" >/dev/full; echo $?'), [0, "4\n"]);
  assert.deepEqual(await shell('"$@" yes 2>/dev/null | head -1'), [0, "y\n"]);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGALRM"] as const) {
  test(`exec passes ${signal} on`, async () => {
    const name = signal.slice(3);
    const child = alone("exec", id, "sh", "-c", `trap 'exit 3' ${name}; echo ready; while :; do sleep 0.1; done`);
    child.stdout?.once("data", () => child.kill(signal));
    assert.equal((await collect(child)).exitCode, 3);
  });
}

test("an exec whose caller leaves needs no Node.js either, whether somebody waits for its end or not", async () => {
  const [pidFile, processFile, output] = ["monitor", "process.json", "output"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(
    processFile,
    JSON.stringify({ args: ["sh", "-c", "echo $A; exec sleep 1005"], cwd: "/", env: ["PATH=/bin"] }),
  );
  const words = ["/none", SCRIPT, "caisson", "--root", host.root, "exec", "-d", "-e", "A=b", "-p", processFile];
  const run = (...flags: string[]) =>
    collect(spawn("sh", ["-c", `"$0" "$@" >${output} 2>&1`, LAUNCH, ...words, ...flags, id]));
  assert.deepEqual(await run("--pid-file", pidFile), { exitCode: 0, stdout: "", stderr: "" });
  await until(() => readFileSync(output, "utf8") === "b\n");
  assert.equal(await others(), 1);
  const pid = Number(readFileSync(pidFile, "utf8"));
  assert.equal(readFileSync(`/proc/${pid}/comm`, "utf8"), "launch\n");
  process.kill(pid, "SIGTERM");
  await until(async () => (await others()) === 0);
  await until(() => processIdentity(pid) === undefined);

  writeFileSync(
    processFile,
    JSON.stringify({ args: ["sh", "-c", "sleep 1; echo over"], cwd: "/", env: ["PATH=/bin"] }),
  );
  assert.deepEqual(await run(), { exitCode: 0, stdout: "", stderr: "" });
  await until(() => readFileSync(output, "utf8") === "over\n");
});

test("a hundred execs at once", async () => {
  const results = await Promise.all(
    Array.from({ length: 100 }, (_, at) => collect(alone("exec", id, "sh", "-c", `echo ${at}; exit ${at}`))),
  );
  for (const [at, { exitCode, stdout }] of results.entries()) assert.deepEqual([exitCode, stdout], [at, `${at}\n`]);
  assert.equal(await others(), 0);
});

test("exec that is killed takes its process along, before it has started, too", async () => {
  const child = alone("exec", id, "sleep", "1003");
  await until(async () => (await others()) === 1);
  child.kill("SIGKILL");
  await until(async () => (await others()) === 0);
  for (let waited = 0; waited < 60; waited += 15) {
    const early = alone("exec", id, "sleep", "1004");
    setTimeout(() => early.kill("SIGTERM"), waited);
    await collect(early);
  }
  await until(async () => (await others()) === 0);
});

test("run and create start the daemon's Node.js alone; what fails, is interrupted or has a terminal starts another", async () => {
  const node = join(folder, "node");
  const started = join(folder, "started");
  writeFileSync(node, `#!/bin/sh\necho "$3" >>${started}\nexec "${OUT}/node" "$@"\n`, { mode: 0o755 });
  // Else none would start: they are restored.
  const env = { ...process.env, NODE_OPTIONS: "" };
  using other = new Bundle(["sh", "-c", "cat; exit 5"]);
  const launch = (...words: string[]) => {
    writeFileSync(started, "");
    const child = spawn(LAUNCH, [node, SCRIPT, "caisson", "--root", host.root, ...words], { env });
    child.stdin.end("in\n");
    return child;
  };
  const starts = () => readFileSync(started, "utf8").trim().split("\n").length;
  const run = ["run", "-b", other.directory];
  assert.deepEqual(await collect(launch(...run, host.id())), { exitCode: 5, stdout: "in\n", stderr: "" });
  assert.equal(starts(), 1);
  const kept = host.id();
  assert.equal((await collect(launch(...run, "--keep", kept))).exitCode, 5);
  assert.equal(starts(), 2);
  await host.ok(["delete", kept]);

  const pidFile = join(folder, "pid");
  const created = host.id();
  const creating = spawn(
    LAUNCH,
    [node, SCRIPT, "caisson", "--root", host.root, "create", "-b", other.directory, "--pid-file", pidFile, created],
    { stdio: "ignore", env },
  );
  writeFileSync(started, "");
  assert.equal((await collect(creating)).exitCode, 0);
  assert.equal(starts(), 1);
  assert.equal(readFileSync(pidFile, "utf8"), String(JSON.parse(await host.ok(["state", created])).pid));
  await host.ok(["delete", "-f", created]);

  other.process.args = ["nothere"];
  other.write();
  const failed = await collect(launch(...run, host.id()));
  assert.deepEqual([failed.exitCode, starts()], [127, 2]);
  other.spec.hooks = { poststop: [{ path: "/bin/true" }] };
  other.process.args = ["true"];
  other.write();
  assert.deepEqual([(await collect(launch(...run, host.id()))).exitCode, starts()], [0, 2]);
});

for (const [what, pidOf] of [
  ["daemon", async (of: string) => JSON.parse(await host.ok(["state", of])).pid as number],
  ["QEMU", async (of: string) => qemusOf(JSON.parse(await host.ok(["state", of])).pid)[0] as number],
] as const) {
  test(`exec whose ${what} is killed tells so`, async () => {
    const other = await host.start(bundle);
    const pid = await pidOf(other);
    const child = handed("exec", other, "sh", "-c", "echo ready; sleep 1000");
    const ended = collect(child);
    child.stdout?.once("data", () => process.kill(pid, "SIGKILL"));
    const result = await ended;
    assert.equal(result.exitCode, 255);
    assert.match(
      errorOf(result),
      what === "daemon"
        ? /^cannot exec in a stopped container: the sandbox daemon ended before it answered/
        : /^Process exec-\d+ of container .* is lost.*SIGKILL/,
    );
    await host.ok(["delete", "-f", other]);
  });
}
