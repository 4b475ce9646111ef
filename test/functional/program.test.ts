/** What all verbs have in common: the flags before them, help, wrong usage, the log. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { collect, errorOf, Host, PROGRAM, type Result } from "../harness/host.ts";

const VERBS =
  "check checkpoint create delete events exec features kill list pause ps restore resume run spec start state template update";

const host = new Host();
after(() => host[Symbol.asyncDispose]());
const folder = mkdtempSync(join(tmpdir(), "caisson-log-"));
after(() => rmSync(folder, { recursive: true }));

test("--version prints what engines read", async () => {
  assert.match(await host.ok(["--version"]), /^caisson version \d+\.\d+\.\d+\S*\nspec: 1\.2\.0\n/);
});

test("--help and no command at all list every command", async () => {
  const help = await host.ok(["--help"]);
  for (const verb of VERBS.split(" ")) assert.match(help, new RegExp(`^  ${verb} `, "m"));
  assert.equal(await host.ok([]), help);
});

for (const verb of VERBS.split(" ")) {
  test(`${verb} --help shows its usage`, async () => {
    assert.match(await host.ok([verb, "--help"]), new RegExp(`^Usage: caisson ${verb} `));
  });
}

const wrong: [string[], RegExp][] = [
  [["kil", "x"], /unknown command "kil"\. Did you mean "kill"\?/],
  [["kill"], /caisson kill: missing required argument 'container-id'\. Usage: caisson kill \[options\] <container-id>/],
  [["kill", "--al", "x"], /caisson kill: unknown option '--al' \(Did you mean --all\?\)/],
  [["kill", "a", "TERM", "c"], /caisson kill: too many arguments/],
  [["start", "a", "b"], /caisson start: too many arguments/],
  [["--nope", "list"], /caisson: unknown option '--nope'/],
  [["create", "--bundle"], /argument missing/],
  [["--log-format", "xml", "list"], /invalid log-format: xml/],
  [["--rootless", "true", "list"], /--rootless true is not supported: a VM per container needs root/],
  [["--log", "/nonexistent/log", "list"], /cannot open the log file \/nonexistent\/log/],
  [["--trace", "/dev/null", "list"], /cannot write the trace file \/dev\/null: it is not a regular file/],
  [["checkpoint", "--image-path", "x", "a"], /checkpoint is not supported: QEMU does not save a VM while/],
  [["restore", "a"], /restore is not supported/],
  [["list", "--format", "xml"], /invalid format option/],
  [["state", "no such"], /invalid container ID "no such": invalid character " "/],
  [["run", "--preserve-fds", "3", "a"], /--preserve-fds 3 is not supported: a file descriptor cannot cross into a VM/],
  [["run", "--preserve-fds", "x", "a"], /--preserve-fds: "x" is not a number/],
  [["kill", "a", "FOO"], /unknown signal "FOO"/],
];

for (const [args, message] of wrong) {
  test(`caisson ${args.join(" ")} fails with one line that says why`, async () => {
    const result = await host.run(args);
    assert.equal(result.exitCode, 1);
    assert.equal(result.stdout, "");
    assert.match(errorOf(result), message);
    assert.equal(result.stderr.trimEnd().split("\n").length, 1);
  });
}

test("flags that have no meaning for a VM are warned about", async () => {
  const result = await host.run(["create", "--no-pivot", "--no-new-keyring", "--bundle", folder, "a"]);
  assert.equal(result.exitCode, 1);
  assert.match(result.stderr, /level=warning msg="--no-pivot changes nothing: /);
  assert.match(result.stderr, /level=warning msg="--no-new-keyring changes nothing: /);
  assert.match(errorOf(result), /config\.json/);
});

test("sockets that systemd passes are refused", async () => {
  const script = `LISTEN_FDS=2 LISTEN_PID=$$ exec "$0" --root ${host.root} run a`;
  const result = await collect(spawn("sh", ["-c", script, PROGRAM]));
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /LISTEN_FDS=2 is not supported: a file descriptor cannot cross into a VM/);
  // The descriptors are another process's.
  const { stderr } = await host.run(["run", "--bundle", folder, "a"], { env: { LISTEN_FDS: "2", LISTEN_PID: "1" } });
  assert.doesNotMatch(stderr, /LISTEN_FDS/);
});

test("help whose reader goes away ends as any program does then", async () => {
  const result = await collect(spawn("bash", ["-c", '"$0" help | true; exit $PIPESTATUS', PROGRAM]));
  assert.deepEqual([result.exitCode, result.stderr], [141, ""]);
});

test("--rootless auto and false are accepted", async () => {
  await host.ok(["--rootless", "auto", "list"]);
  await host.ok(["--rootless", "false", "list"]);
});

test("an unknown id is told by every verb that takes one", async () => {
  for (const verb of ["start", "state", "kill", "delete", "ps", "pause", "resume", "update", "events"]) {
    const result = await host.run([verb, "nobody"]);
    assert.equal(result.exitCode, 1, verb);
    assert.match(errorOf(result), /container.*"nobody"/, verb);
  }
  assert.equal((await host.run(["exec", "nobody", "true"])).exitCode, 255);
});

test("--log --log-format json appends one object a line, and stderr has the message, too", async () => {
  const log = join(folder, "json.log");
  for (const id of ["a", "b"]) {
    const { stderr } = await host.run(["--log", log, "--log-format", "json", "state", id]);
    assert.match(stderr, new RegExp(`"${id}"`));
    assert.doesNotMatch(stderr, /level=/);
  }
  const records = readFileSync(log, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(records.length, 2);
  for (const record of records) {
    assert.equal(record.level, "error");
    assert.match(record.msg, /container/);
    assert.ok(Date.parse(record.time) > Date.now() - 600_000);
  }
});

test("--log writes text by default", async () => {
  const log = join(folder, "text.log");
  await host.run(["--log", log, "state", "a"]);
  assert.match(readFileSync(log, "utf8"), /^time="\S+" level=error msg=".*\n$/);
});

test("output into a closed pipe ends quietly", async () => {
  const child = host.spawn(["features"]);
  child.stdout?.destroy();
  let stderr = "";
  child.stderr?.on("data", (data) => {
    stderr += data;
  });
  const exitCode = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(exitCode, 141);
  assert.equal(stderr, "");
});

test("the program needs nothing in PATH to find itself", async () => {
  const link = join(folder, "caisson");
  symlinkSync(PROGRAM, link);
  for (const program of [PROGRAM, link]) {
    const child = spawn(program, ["--version"], { env: { PATH: "/nonexistent" }, stdio: ["ignore", "pipe", "pipe"] });
    assert.match((await collect(child)).stdout, /^caisson version/, program);
  }
});

/** The host's sh runs `script` with the program as $0 and the root as $1. */
function inShell(script: string): Promise<Result> {
  return collect(spawn("sh", ["-c", script, PROGRAM, host.root], { stdio: ["ignore", "pipe", "pipe"] }));
}

test("without /proc, or with hardly any file descriptors, every verb ends with a sentence and a code", async () => {
  using bundle = new Bundle();
  bundle.write();
  const verbs = [`run -b ${bundle.directory} x`, "list", "state x", "delete -f x"];
  for (const verb of verbs) {
    for (const without of ["ulimit -n 20", "ulimit -n 34"]) {
      assertSentence(await inShell(`${without}; "$0" --root "$1" ${verb}`), `${without}: ${verb}`);
    }
    const hidden = `unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$0" --root "$1" ${verb}' "$0" "$1"`;
    assertSentence(await inShell(hidden), `no /proc: ${verb}`);
  }
});

test("run works in a chroot whose / is no mount point, and mounts nothing outside of it", async () => {
  using bundle = new Bundle(["echo", "hello"]);
  const top = join(import.meta.dirname, "../..");
  const root = join(folder, "chroot");
  const script = `mkdir -p ${root} && cd ${root} && mkdir -p usr etc dev proc run sys tmp ".${top}" &&
    for each in bin sbin lib lib64; do ln -s usr/$each $each; done &&
    for each in usr etc dev proc run sys tmp; do mount --rbind /$each $each; done && mount --rbind "${top}" ".${top}" &&
    before=$(wc -l < /proc/self/mountinfo) && chroot . "$0" --root "$1" run -b ${bundle.directory} x &&
    test $before = $(wc -l < /proc/self/mountinfo)`;
  const result = await inShell(`unshare --mount --propagation shared sh -c '${script}' "$0" "$1"`);
  assert.deepEqual(result, { exitCode: 0, stdout: "hello\n", stderr: "" });
});

/** The program worked without a word, or failed with one line that has a code which is not that of a mistake of ours. */
function assertSentence({ exitCode, stderr }: Result, what: string): void {
  assert.ok(exitCode === 0 || exitCode === 1, `${what} ended with ${exitCode}: ${stderr}`);
  const lines = stderr.trimEnd().split("\n");
  assert.ok(lines.length === 1, `${what}: ${stderr}`);
  if (exitCode === 1) assert.match(stderr, /CAISSON_E_(?!INTERNAL)[A-Z_]+/, what);
}
