import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { cgroupMounts } from "../../runtime/cgroup/cgroup.ts";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host, until } from "../harness/host.ts";
import { inNetns, Netns } from "../harness/network.ts";

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

test("delete --regex removes what it matches, and goes on after one that it cannot", async () => {
  using bundle = new Bundle();
  const ids = [await host.start(bundle), await host.start(bundle), await host.start(bundle)];
  const [first, second, third] = ids as [string, string, string];
  await host.ok(["delete", "--force", "--regex", `^(${first}|${second})$`]);
  assert.equal(await host.status(third), "running");
  for (const id of [first, second]) assert.equal((await host.run(["state", id])).exitCode, 1);

  const refused = await host.run(["delete", "-r", third]);
  assert.equal(refused.exitCode, 1);
  assert.match(errorOf(refused), new RegExp(`cannot delete container ${third} that is not stopped: running`));
  await host.ok(["delete", "-r", "matches nothing"]);
  assert.match(errorOf(await host.run(["delete", "-r", "("])), /--regex: "\(" is not a regular expression/);
  await host.ok(["delete", "-f", third]);
  assert.deepEqual(await host.remains(), []);
});

test("delete --force ends a paused container", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  await host.ok(["pause", id]);
  await host.ok(["delete", "--force", id]);
  assert.deepEqual(await host.remains(), []);
});

/** The freezer of cgroup v1, where the frozen take no SIGKILL. */
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

for (const damage of ["state.json", "state.json and the record before it", "state.json, which is gone,"]) {
  test(`delete --force ends daemon, QEMU and cgroup of a container with a damaged ${damage}`, async () => {
    using bundle = new Bundle();
    const id = await host.start(bundle);
    const file = join(host.root, id, "state.json");
    if (damage.endsWith("gone,")) rmSync(file);
    else writeFileSync(file, "\0".repeat(100));
    if (damage.includes("before")) writeFileSync(`${file}.former`, "");
    const result = await host.run(["delete", "--force", id]);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.match(result.stderr, /record/);
    assert.deepEqual(await host.remains(), []);
  });
}

test("delete of a container that was killed needs nothing of what it was made of", async () => {
  using far = new Netns();
  let near: Netns | undefined = new Netns();
  const { path } = near;
  near.veth("eth0", far, "far0");
  using bundle = new Bundle();
  const gone = join(bundle.directory, "hook");
  bundle.spec.hooks = { poststop: [{ path: gone }, { path: bundle.directory }, { path: gone, timeout: 1 }] };
  inNetns(bundle, path);
  const id = await host.start(bundle);
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  assert.match(readFileSync(join(host.root, id, "state.json"), "utf8"), /"network":\{/);
  process.kill(pid, "SIGKILL");
  await host.stopped(id);
  near[Symbol.dispose]();
  near = undefined;
  writeFileSync(path, "");
  try {
    bundle[Symbol.dispose]();
    writeFileSync(bundle.directory, "an ordinary file");
    await until(() => {
      for (const { directory } of cgroupMounts()) {
        try {
          rmdirSync(join(directory, "caisson", id));
        } catch {
          // On its way out.
        }
      }
      return !cgroupMounts().some(({ directory }) => existsSync(join(directory, "caisson", id)));
    });
    await host.ok(["delete", id]);
    assert.deepEqual(await host.remains(), []);
  } finally {
    rmSync(path);
  }
});
