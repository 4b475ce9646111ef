import assert from "node:assert/strict";
import { after, test } from "node:test";
import { processIdentity } from "../../runtime/state/process-identity.ts";
import { Bundle } from "../harness/bundle.ts";
import { detached, Host, until } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("state prints exactly the OCI state through a container's life", async () => {
  using bundle = new Bundle();
  bundle.spec.annotations = { "org.example.key": "value" };
  bundle.write();
  const id = host.id();
  const state = async () => JSON.parse(await host.ok(["state", id]));
  const facts = { ociVersion: "1.2.0", id, bundle: bundle.directory, annotations: { "org.example.key": "value" } };

  await detached(host, ["create", "-b", bundle.directory, id]);
  const { pid, ...created } = await state();
  assert.deepEqual(created, { ...facts, status: "created" });
  assert.ok(processIdentity(pid));

  await host.ok(["start", id]);
  assert.deepEqual(await state(), { ...facts, status: "running", pid });
  await host.ok(["pause", id]);
  assert.deepEqual(await state(), { ...facts, status: "paused", pid });
  await host.ok(["resume", id]);
  assert.deepEqual(await state(), { ...facts, status: "running", pid });
  await host.ok(["kill", id, "KILL"]);
  await until(async () => (await host.status(id)) === "stopped");
  assert.deepEqual(await state(), { ...facts, status: "stopped", pid: 0 });
  await host.ok(["delete", id]);
  assert.equal((await host.run(["state", id])).exitCode, 1);
});
