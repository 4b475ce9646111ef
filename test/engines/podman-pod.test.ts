import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { until } from "../harness/host.ts";
import { Podman, whyNoPodman } from "./podman.ts";

const skip = whyNoPodman();
const options = { skip: skip ?? false };
let podman: Podman;

before(async () => {
  if (skip === undefined) podman = await Podman.start();
});
after(async () => {
  if (skip !== undefined) return;
  await podman.run(["pod", "rm", "--all", "--force", "--time", "0"]);
  await podman[Symbol.asyncDispose]();
});

/** The command lines of the processes for which that holds. */
function processes(holds: (pid: string, command: string) => boolean): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const command = text(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
      return holds(pid, command) ? [command] : [];
    });
}

/** The QEMUs in a container's cgroup. */
function virtualMachinesOf(id: string): string[] {
  return processes((pid, command) => command.includes("qemu-system") && text(`/proc/${pid}/cgroup`).includes(id));
}

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // The process has ended.
  }
}

const status = (name: string) => podman.inspect(name, "{{.State.Status}} {{.State.ExitCode}}");

test("podman pod: several containers in one VM, which share network, ipc, uts and memory", options, async () => {
  await podman.ok(["pod", "create", "--name", "pod", "--network", "none"]);
  const script = "trap 'echo bye; exit 3' TERM; echo started; while :; do sleep 0.2; done";
  await podman.ok(["run", "-d", "--pod", "pod", "--name", "one", "busybox", "sh", "-c", script]);
  await podman.ok([
    "run",
    "-d",
    "--pod",
    "pod",
    "--name",
    "two",
    "busybox",
    "nc",
    "-ll",
    "-p",
    "80",
    "-e",
    "echo",
    "two",
  ]);
  const ids = (await podman.ok(["ps", "--all", "--no-trunc", "--quiet"])).trim().split("\n");
  assert.equal(ids.length, 3);
  const virtualMachines = () => ids.flatMap(virtualMachinesOf);
  assert.equal(virtualMachines().length, 1);
  await until(async () => (await podman.run(["exec", "one", "nc", "127.0.0.1", "80"])).stdout === "two\n");
  for (const name of ["one", "two"]) assert.equal(await podman.ok(["exec", name, "hostname"]), "pod\n");
  await podman.ok(["exec", "one", "sh", "-c", "echo in memory > /dev/shm/x"]);
  assert.equal(await podman.ok(["exec", "two", "cat", "/dev/shm/x"]), "in memory\n");
  const pids = await Promise.all(["one", "two"].map((name) => podman.inspect(name, "{{.State.Pid}}")));
  assert.notEqual(pids[0], pids[1]);

  const result = await podman.run(["run", "--rm", "-i", "--pod", "pod", "busybox", "sh", "-c", "cat; exit 7"], "in\n");
  assert.deepEqual([result.exitCode, result.stdout], [7, "in\n"]);
  assert.match(await podman.onTerminal(["exec", "-it", "two", "tty"]), /^\/dev\/pts\/\d+\n$/);
  const sized = "until stty size 2>/dev/null | grep -q 33.77; do sleep 0.1; done; stty size";
  const terminal = ["run", "--rm", "-it", "--pod", "pod", "busybox", "sh", "-c", sized];
  assert.match(await podman.onTerminal(terminal), /^33 77\n$/);

  await podman.ok(["cp", "/etc/hostname", "two:/tmp/copied"]);
  await podman.ok(["exec", "two", "test", "-s", "/tmp/copied"]);
  await podman.ok(["pod", "pause", "pod"]);
  assert.match(await status("one"), /^paused/);
  await podman.ok(["pod", "unpause", "pod"]);
  assert.match(
    await podman.ok(["pod", "ps", "--format", "{{.Name}} {{.Status}} {{.NumberOfContainers}}"]),
    /^pod Running 3$/m,
  );
  assert.match(await podman.ok(["pod", "stats", "--no-stream", "pod"]), /one/);

  // Each ends by itself, though podman ends the one that holds the namespaces at the same time.
  await podman.ok(["pod", "stop", "--time", "60", "pod"]);
  assert.equal(await status("one"), "exited 3");
  assert.equal(await podman.ok(["logs", "one"]), "started\nbye\n");
  await until(() => virtualMachines().length === 0);

  await podman.ok(["pod", "start", "pod"]);
  assert.equal(await podman.ok(["exec", "one", "hostname"]), "pod\n");
  await podman.ok(["restart", "--time", "0", "two"]);
  assert.equal(await podman.ok(["exec", "two", "hostname"]), "pod\n");
  await podman.ok(["pod", "rm", "--force", "--time", "0", "pod"]);
  await until(() => virtualMachines().length === 0);
  const left = () => processes((_, command) => command.includes(`${podman.folder}/`));
  await until(() => left().length === 0);
});

test("podman run --network container: the network of a container that is not in a pod", options, async () => {
  await podman.start("first", [], "nc", "-ll", "-p", "80", "-e", "echo", "first");
  const flags = ["run", "--rm", "--network", "container:first", "busybox"];
  await until(async () => (await podman.run([...flags, "nc", "127.0.0.1", "80"])).stdout === "first\n");
  await podman.ok(["rm", "--force", "--time", "0", "first"]);
});
