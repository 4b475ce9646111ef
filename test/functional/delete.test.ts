import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("delete refuses a running container, --force ends it", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  const refused = await host.run(["delete", id]);
  assert.equal(refused.exitCode, 1);
  assert.match(errorOf(refused), new RegExp(`cannot delete container ${id} that is not stopped: running`));
  assert.equal(await host.status(id), "running");

  await host.ok(["delete", "--force", id]);
  assert.deepEqual(await host.remains(), []);

  const again = await host.run(["delete", id]);
  assert.equal(again.exitCode, 1);
  assert.match(errorOf(again), /container.*exist|no container/);
  await host.ok(["delete", "-f", id]);
});

test("delete --force ends a paused container", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  await host.ok(["pause", id]);
  await host.ok(["delete", "--force", id]);
  assert.deepEqual(await host.remains(), []);
});

/** Of cgroup v1, where the frozen take no SIGKILL. */
const FREEZER = "/sys/fs/cgroup/freezer";
const noFreezer = existsSync(join(FREEZER, "cgroup.procs")) ? false : "this host has no freezer of cgroup v1";

test("delete --force ends a container that somebody has frozen on the host", { skip: noFreezer }, async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  const frozen = join(FREEZER, id);
  const state = join(frozen, "freezer.state");
  mkdirSync(frozen);
  try {
    writeFileSync(join(frozen, "cgroup.procs"), String(pid));
    writeFileSync(state, "FROZEN");
    await until(() => readFileSync(state, "utf8") === "FROZEN\n");
    await host.ok(["delete", "--force", id]);
    assert.deepEqual(await host.remains(), []);
  } finally {
    writeFileSync(state, "THAWED");
    await until(() => readFileSync(join(frozen, "cgroup.procs"), "utf8") === "");
    rmdirSync(frozen);
  }
});

test("two deletes at once both end, and at least one succeeds", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  const results = await Promise.all([host.run(["delete", "-f", id]), host.run(["delete", "-f", id])]);
  assert.ok(
    results.some(({ exitCode }) => exitCode === 0),
    JSON.stringify(results),
  );
  assert.deepEqual(await host.remains(), []);
});

test("delete --force removes a damaged record", async () => {
  const id = host.id();
  mkdirSync(join(host.root, id));
  writeFileSync(join(host.root, id, "state.json"), "{");
  assert.match(
    errorOf(await host.run(["delete", id])),
    /it is not JSON: .*\. Remove the container with caisson delete --force/,
  );
  await host.ok(["delete", "--force", id]);
  assert.deepEqual(await host.remains(), []);
});
