import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { collect, detached, errorOf, Host } from "../harness/host.ts";
import { ConsoleSocket, PidfdSocket } from "../harness/terminal.ts";

const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-create-"));
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(async () => {
  rmSync(folder, { recursive: true });
  await host[Symbol.asyncDispose]();
});

test("create stops short of the process, whose streams are those create was given; delete takes it back", async () => {
  using bundle = new Bundle(["sh", "-c", "echo started > /root/started; echo out; echo err >&2; exit 4"]);
  const id = host.id();
  const pidFile = join(folder, "pid");
  using socket = new PidfdSocket();
  const flags = ["--pid-file", pidFile, "--pidfd-socket", socket.path];
  const child = host.spawn(["create", ...flags, "--bundle", bundle.directory, id]);
  const output = collect(child);
  const exitCode = await new Promise((resolve) => child.once("exit", resolve));
  assert.equal(exitCode, 0);
  const { status, pid } = JSON.parse(await host.ok(["state", id]));
  assert.equal(status, "created");
  assert.equal(readFileSync(pidFile, "utf8"), String(pid));
  assert.equal(await socket.pid, pid);
  assert.throws(() => readFileSync(join(bundle.rootfs, "root/started")), { code: "ENOENT" });

  await host.ok(["start", id]);
  // The daemon holds the streams until the process has ended.
  const { stdout, stderr } = await output;
  assert.deepEqual({ stdout, stderr }, { stdout: "out\n", stderr: "err\n" });
  await host.stopped(id);
  assert.equal(readFileSync(join(bundle.rootfs, "root/started"), "utf8"), "started\n");
  await host.ok(["delete", id]);
});

test("delete of a created container ends it", async () => {
  using bundle = new Bundle();
  const id = host.id();
  await detached(host, ["create", "-b", bundle.directory, id]);
  await host.ok(["delete", id]);
});

test("create refuses an id that is in use, and leaves that container alone", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  const result = await host.run(["create", "-b", bundle.directory, id]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), new RegExp(`container with the id "${id}" exists already`));
  assert.equal(await host.status(id), "running");
  await host.ok(["delete", "-f", id]);
});

test("create with a terminal sends it over --console-socket before the process runs", async () => {
  using bundle = new Bundle(["sh", "-c", "read line; echo got $line"]);
  bundle.process.terminal = true;
  bundle.write();
  const id = host.id();
  const refused = await host.run(["create", "-b", bundle.directory, id]);
  assert.match(errorOf(refused), /cannot allocate tty if caisson will detach without setting console socket/);

  using socket = new ConsoleSocket();
  // The daemon's standard streams are pipes that end with it: the container has none of them.
  await host.ok(["create", "--console-socket", socket.path, "-b", bundle.directory, id]);
  using screen = await socket.screen;
  await host.ok(["start", id]);
  screen.type("hello\n");
  await screen.shows(/got hello/);
  await host.stopped(id);
  await host.ok(["delete", id]);
});

test("create with a console socket that nobody listens on takes the container back", async () => {
  using bundle = new Bundle(["sh"]);
  bundle.process.terminal = true;
  bundle.write();
  const path = join(folder, "nobody.sock");
  const result = await host.run(["create", "--console-socket", path, "-b", bundle.directory, host.id()]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /nobody\.sock did not take the terminal/);
});

test("create of a command that does not exist fails and leaves nothing", async () => {
  using bundle = new Bundle(["nothere"]);
  const result = await host.run(["create", "-b", bundle.directory, host.id()]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /"nothere".*no such file or directory/);
});
