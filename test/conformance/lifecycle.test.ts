/** runtime.md: states, operations, and what each refuses. Two containers. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { detached, errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

async function state(id: string): Promise<Record<string, unknown>> {
  return JSON.parse(await host.ok(["state", id])) as Record<string, unknown>;
}

async function refused(args: readonly string[], message: RegExp): Promise<void> {
  const result = await host.run(args);
  assert.notEqual(result.exitCode, 0, args.join(" "));
  assert.match(errorOf(result), message);
}

test("create, start, kill and delete, each in its state only", async () => {
  using bundle = new Bundle(["sh", "-c", "trap 'exit 5' USR1; touch /ran; while :; do sleep 0.1; done"]);
  bundle.spec.annotations = { "org.example.key": "value", empty: "" };
  bundle.write();
  const id = host.id();

  await detached(host, ["create", "--bundle", bundle.directory, id]);
  const created = await state(id);
  assert.deepEqual(
    { ociVersion: created["ociVersion"], id: created["id"], status: created["status"], bundle: created["bundle"] },
    { ociVersion: "1.2.0", id, status: "created", bundle: bundle.directory },
  );
  assert.deepEqual(created["annotations"], bundle.spec.annotations);
  assert.ok(Number(created["pid"]) > 1);
  // The program must not run before start.
  assert.equal((await host.run(["exec", id, "ls", "/ran"])).stdout, "");

  await refused(["create", "--bundle", bundle.directory, id], /exists/);
  // Changes of config.json after create have no effect.
  writeFileSync(join(bundle.directory, "config.json"), "{}");
  await host.ok(["start", id]);
  assert.equal((await state(id))["status"], "running");
  await until(async () => (await host.run(["exec", "--process", process(bundle), id])).exitCode === 0);

  await refused(["start", id], /running|created/);
  await refused(["delete", id], /not stopped|running/);
  assert.equal((await state(id))["status"], "running");

  await host.ok(["kill", id, "USR1"]);
  await host.stopped(id);
  const stopped = await state(id);
  assert.ok(!stopped["pid"], `a stopped container has no pid, not ${stopped["pid"]}`);
  await refused(["start", id], /stopped|created/);
  await refused(["kill", id, "KILL"], /not running|stopped/);
  await refused(["exec", id, "true"], /stopped/);

  await host.ok(["delete", id]);
  await refused(["state", id], /does not exist/);
  await refused(["delete", id], /does not exist/);
  await refused(["kill", id, "0"], /does not exist/);
  await refused(["start", id], /does not exist/);
  assert.deepEqual(await host.remains(), []);

  // The container's id is free again. The longest id that runc takes is taken by the guest as well.
  bundle.process.args = ["true"];
  bundle.write();
  await host.ok(["run", "--bundle", bundle.directory, id]);
  const longest = `.+${id}-`.padEnd(255, "x");
  await host.ok(["run", "--bundle", bundle.directory, longest]);
});

/** A process file, as config.json is unreadable by then. */
function process(bundle: Bundle): string {
  const path = join(bundle.directory, "process.json");
  writeFileSync(path, JSON.stringify({ ...bundle.process, args: ["ls", "/ran"] }));
  return path;
}

test("what create cannot do leaves nothing behind", async () => {
  using bundle = new Bundle(["true"]);
  bundle.spec.mounts?.push({ destination: "/m", type: "nosuchfs", source: "x" });
  bundle.write();
  const id = host.id();
  await refused(["create", "--bundle", bundle.directory, id], /mounts\[7\] "\/m"/);
  await refused(["state", id], /does not exist/);
  assert.deepEqual(await host.remains(), []);
});

test("operations without what they need are refused", async () => {
  for (const args of [["state"], ["create"], ["start"], ["kill"], ["delete"]]) {
    await refused(args, /missing required argument/);
  }
  await refused(["create", "--bundle", "/nowhere/at/all", host.id()], /bundle/);
  using bundle = new Bundle(["true"]);
  for (const id of ["", ".", "..", "a/b", "a b", "../x"]) {
    await refused(["create", "--bundle", bundle.directory, id], /id|name/);
  }
});

test("kill delivers every signal that a process can catch", async () => {
  const numbers = Array.from({ length: 64 }, (_, index) => index + 1).filter(
    (signal) => ![9, 17, 19, 32, 33].includes(signal),
  );
  const traps = numbers.map((signal) => `trap 'echo ${signal} >> /seen' ${signal}`).join("\n");
  using bundle = new Bundle(["sh", "-c", `${traps}\n: > /ready; while :; do sleep 0.05; done`]);
  const id = await host.start(bundle);
  const seen = async (file: string) => (await host.run(["exec", id, "cat", file])).stdout.split("\n").filter(Boolean);
  await until(async () => (await host.run(["exec", id, "cat", "/ready"])).exitCode === 0);
  for (const signal of [1, 2, 10, 12, 15, 34, 64]) await host.ok(["kill", id, String(signal)]);
  await host.ok(["kill", id, "SIGRTMIN+1"]);
  await until(async () => (await seen("/seen")).length >= 8);
  assert.deepEqual(
    (await seen("/seen")).map(Number).sort((a, b) => a - b),
    [1, 2, 10, 12, 15, 34, 35, 64],
  );
  // 0 only asks whether it is there.
  await host.ok(["kill", id, "0"]);
  await refused(["kill", id, "65"], /unknown signal/);
  await refused(["kill", id, "NOPE"], /unknown signal/);
  await host.ok(["kill", "--all", id, "KILL"]);
  await host.stopped(id);
  await host.ok(["delete", id]);
});

for (const verb of ["checkpoint", "restore"]) {
  test(`${verb} is refused with the reason`, async () => {
    await refused([verb, "any"], /QEMU does not save a VM while a directory of the host is mounted in it/);
  });
}
