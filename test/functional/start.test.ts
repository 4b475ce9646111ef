import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { detached, errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("start lets a created container's process go, once", async () => {
  using bundle = new Bundle();
  const id = host.id();
  await detached(host, ["create", "-b", bundle.directory, id]);
  await host.ok(["start", id]);
  assert.equal(await host.status(id), "running");

  const again = await host.run(["start", id]);
  assert.equal(again.exitCode, 1);
  assert.match(errorOf(again), /cannot start an already running container/);

  await host.ok(["kill", id, "KILL"]);
  await host.stopped(id);
  const late = await host.run(["start", id]);
  assert.equal(late.exitCode, 1);
  assert.match(errorOf(late), /cannot start a container that has stopped/);
  await host.ok(["delete", id]);
  assert.deepEqual(await host.remains(), []);
});

test("start waits for a container that is still being created", async () => {
  using bundle = new Bundle(["true"]);
  bundle.spec.hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "0.5"] }] };
  bundle.write();
  const id = host.id();
  const creation = detached(host, ["create", "-b", bundle.directory, id]);
  await until(async () => (await host.run(["state", id])).exitCode === 0);
  assert.equal(await host.status(id), "creating");
  await host.ok(["start", id]);
  await creation;
  await host.stopped(id);
  await host.ok(["delete", id]);
});

test("start of a command that the kernel cannot execute says so and leaves a stopped container", async () => {
  using bundle = new Bundle(["/bin/garbage"]);
  writeFileSync(join(bundle.rootfs, "bin/garbage"), "\x7fELF, but no program", { mode: 0o755 });
  const id = host.id();
  await detached(host, ["create", "-b", bundle.directory, id]);
  const result = await host.run(["start", id]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /"\/bin\/garbage".*\(ENOEXEC\)/);
  await host.stopped(id);
  await host.ok(["delete", id]);
  assert.deepEqual(await host.remains(), []);
});

test("start of a container that is being created for long is an error that says so", async () => {
  using bundle = new Bundle();
  bundle.spec.hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "997"] }] };
  bundle.write();
  const id = host.id();
  const creating = host.run(["create", "-b", bundle.directory, id]);
  await until(async () => (await host.run(["state", id])).exitCode === 0);
  assert.equal(await host.status(id), "creating");
  const result = await host.run(["start", id]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /is still being created/);
  await host.ok(["delete", "--force", id]);
  await creating;
  assert.deepEqual(await host.remains(), []);
});
