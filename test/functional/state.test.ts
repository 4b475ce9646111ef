import assert from "node:assert/strict";
import { after, test } from "node:test";
import { processIdentity } from "../../runtime/state/process-identity.ts";
import { Bundle } from "../harness/bundle.ts";
import { detached, Host } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("state prints the OCI state, with what runc adds, through a container's life", async () => {
  using bundle = new Bundle();
  bundle.spec.annotations = { "org.example.key": "value" };
  bundle.write();
  const id = host.id();
  const state = async () => JSON.parse(await host.ok(["state", id]));
  const annotations = { "org.example.key": "value" };
  const { directory, rootfs } = bundle;
  const facts = { ociVersion: "1.2.0", id, bundle: directory, rootfs, annotations, owner: "" };

  await detached(host, ["create", "-b", bundle.directory, id]);
  const { pid, created, ...rest } = await state();
  assert.ok(Math.abs(Date.parse(created) - Date.now()) < 600_000, created);
  assert.deepEqual(rest, { ...facts, status: "created" });
  assert.ok(processIdentity(pid));

  await host.ok(["start", id]);
  assert.deepEqual(await state(), { ...facts, created, status: "running", pid });
  await host.ok(["pause", id]);
  assert.deepEqual(await state(), { ...facts, created, status: "paused", pid });
  await host.ok(["resume", id]);
  assert.deepEqual(await state(), { ...facts, created, status: "running", pid });
  await host.ok(["kill", id, "KILL"]);
  await host.stopped(id);
  assert.deepEqual(await state(), { ...facts, created, status: "stopped", pid: 0 });
  await host.ok(["delete", id]);
  assert.equal((await host.run(["state", id])).exitCode, 1);
});
