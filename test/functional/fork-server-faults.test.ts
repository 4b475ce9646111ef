/** What is killed or damaged of a fork server and its copies takes nothing else with it. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { after, afterEach, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { ForkServers, status, text } from "../harness/fork-servers.ts";
import { collect, until } from "../harness/host.ts";
import { isRunning } from "../harness/qemu.ts";

const servers = new ForkServers();
const { host } = servers;

afterEach(() => servers.leftNothing());
after(() => servers[Symbol.asyncDispose]());

test("a sandbox whose daemon is killed takes its QEMU with it, and no other", async () => {
  const server = await servers.serve();
  const [one, other] = [await servers.start(), await servers.start()];
  const [qemu, bystander] = [servers.qemuOf(one), servers.qemuOf(other)];
  const { pid } = JSON.parse(await host.ok(["state", one])) as { pid: number };
  process.kill(pid, "SIGKILL");
  await until(() => !isRunning(qemu));
  assert.ok(isRunning(bystander) && isRunning(server));
  assert.equal(await host.ok(["exec", other, "echo", "alive"]), "alive\n");
  for (const id of [one, other]) await host.ok(["delete", "--force", id]);
});

test("a QEMU that is killed ends its container, and no other", async () => {
  const server = await servers.serve();
  using bundle = new Bundle();
  const child = host.spawn(["--config", servers.settings, "run", "-b", bundle.directory, host.id()]);
  const ended = collect(child);
  const other = await servers.start();
  const bystander = servers.qemuOf(other);
  await until(() => servers.qemus().length === 3);
  const qemu = servers.qemus().find((pid) => pid !== bystander && pid !== server) ?? 0;
  process.kill(qemu, "SIGKILL");
  const { exitCode, stderr } = await ended;
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /QEMU was killed by SIGKILL/);
  assert.ok(isRunning(bystander) && isRunning(server));
  await host.ok(["delete", "--force", other]);
});

test("copies outlive a server that is killed; the next container is in a clone, and has another one made", async () => {
  const server = await servers.serve();
  const id = await servers.start();
  const qemu = servers.qemuOf(id);
  process.kill(server, "SIGKILL");
  await until(() => !isRunning(server));
  assert.equal(await host.ok(["exec", id, "echo", "alive"]), "alive\n");
  const clone = await servers.start();
  assert.notEqual(status(servers.qemuOf(clone), "PPid"), String(server));
  await until(() => servers.serverPid() !== undefined);
  assert.notEqual(servers.serverPid(), server);
  // Nobody but itself looks after it now.
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  process.kill(pid, "SIGKILL");
  await until(() => !isRunning(qemu));
  for (const each of [id, clone]) await host.ok(["delete", "--force", each]);
});

test("a description that is damaged, or a socket at which nobody listens, is as good as none", async () => {
  await servers.serve();
  const file = servers.description;
  const description = text(file);
  writeFileSync(file, description.slice(0, 20));
  using bundle = new Bundle(["echo", "whole"]);
  assert.equal(await servers.caisson("run", "-b", bundle.directory, host.id()), "whole\n");
  const server = await servers.serve();
  process.kill(server, "SIGKILL");
  await until(() => !isRunning(server));
  assert.equal(await servers.caisson("run", "-b", bundle.directory, host.id()), "whole\n");
});

test("a maker that is killed leaves no QEMU, and the next one makes it", async () => {
  const former = await servers.serve();
  process.kill(former, "SIGKILL");
  // While one of its threads is left it has a socket.
  await until(() => !existsSync(`/proc/${former}`));
  const building = host.spawn(["--config", servers.settings, "template", "build"]);
  const ended = collect(building);
  await until(() => servers.qemus().length === 1);
  const [qemu = 0] = servers.qemus();
  process.kill(Number(status(qemu, "PPid")), "SIGKILL");
  await until(() => !isRunning(qemu));
  building.kill("SIGKILL");
  await ended;
  await servers.serve();
  const template = servers.template;
  assert.deepEqual(
    readdirSync(template).filter((name) => name.startsWith("maker-")),
    [],
  );
});
