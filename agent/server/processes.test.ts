/** The processes of containers by the agent's calls: added, waited for, signalled, paused, listed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AgentContainers, fails } from "../../test/harness/agent/agent-containers.ts";
import { AgentProcess } from "../../test/harness/agent/agent-process.ts";
import { OWN_NAMESPACES } from "../../test/harness/agent/bundle.ts";

let agent: AgentProcess;
let containers: AgentContainers;

before(async () => {
  agent = await AgentProcess.start();
  containers = new AgentContainers(agent);
});
after(() => agent.stop());

test("CreateContainer tells exit codes and signals", async () => {
  await containers.start("seven", ["sh", "-c", "exit 7"]);
  assert.equal((await containers.wait("seven")).exitCode, 7);
  await containers.start("killed", ["sleep", "1000"]);
  await containers.signal("killed", 9);
  const { exitCode, signal: number } = await containers.wait("killed");
  assert.deepEqual({ exitCode, number }, { exitCode: 137, number: 9 });
  await fails(containers.signal("killed", 15), "CAISSON_E_STATE");
  await containers.remove("seven");
  await containers.remove("killed");
});

test("ExecProcess adds processes with their own user, folder, environment and status", async () => {
  await containers.start("host", ["sleep", "1000"], { hostname: "inside" });
  const own = { cwd: "/tmp", env: ["PATH=/bin", "COLOUR=blue"], user: { uid: 5, gid: 6 } };
  await containers.exec("host", "e1", ["sh", "-c", "pwd; echo $COLOUR; id -u; id -g; hostname; exit 3"], own);
  assert.equal(await agent.read("host", "e1"), "/tmp\nblue\n5\n6\ninside\n");
  assert.equal((await containers.wait("host", "e1")).exitCode, 3);
  await containers.exec("host", "e1", ["true"]);
  assert.equal((await containers.wait("host", "e1")).exitCode, 0, "the id is free again");
  await fails(containers.exec("host", "e2", ["nope"]), "CAISSON_E_COMMAND_NOT_FOUND", "process.args[0]");
  await fails(containers.signal("host", 9, false, "e2"), "CAISSON_E_NOT_FOUND");
  await containers.exec("host", "e3", ["sleep", "1000"]);
  await fails(containers.exec("host", "e3", ["true"]), "CAISSON_E_ID_IN_USE");
  await containers.signal("host", 15, false, "e3");
  assert.equal((await containers.wait("host", "e3")).exitCode, 143);
  await containers.exec("host", "e4", ["sleep", "1000"]);
  await containers.signal("host", 9);
  assert.equal((await containers.wait("host", "e4")).signal, 9, "it dies with the container");
  await containers.wait("host");
  await fails(containers.exec("host", "e5", ["true"]), "CAISSON_E_STATE");
  await containers.remove("host");
});

test("ExecProcess without a container runs a process of the guest itself", async () => {
  const pid = await containers
    .exec("", "shell-1", ["sh", "-c", "readlink /proc/self/ns/mnt /proc/$PPID/ns/mnt; exit 5"])
    .then((answer) => answer.pid);
  assert.ok(pid > 0);
  const [own, ofContainerInit] = (await agent.read("", "shell-1")).trim().split("\n");
  assert.equal(own, ofContainerInit);
  assert.notEqual(own, undefined);
  assert.equal((await containers.wait("", "shell-1")).exitCode, 5);
  await containers.exec("", "shell-2", ["sleep", "1000"]);
  await fails(containers.exec("", "shell-2", ["true"]), "CAISSON_E_ID_IN_USE");
  await containers.signal("", 15, false, "shell-2");
  assert.equal((await containers.wait("", "shell-2")).exitCode, 143);
  await fails(containers.signal("", 9, false, "shell-3"), "CAISSON_E_NOT_FOUND");
});

test("SignalProcess sends realtime signals, and one to all processes", async () => {
  await containers.start("signals", [
    "sh",
    "-c",
    "trap 'echo rt' 40; trap 'exit 4' 15; echo up; while :; do sleep 0.05; done",
  ]);
  const reader = agent.reader("signals");
  await reader.until("up\n");
  await containers.signal("signals", 0);
  await containers.signal("signals", 40);
  await reader.until("up\nrt\n");
  await containers.exec("signals", "other", ["sleep", "1000"]);
  await containers.signal("signals", 15, true);
  assert.equal((await containers.wait("signals", "other")).exitCode, 143);
  assert.equal((await containers.wait("signals")).exitCode, 4);
  await fails(containers.signal("signals", 99), "CAISSON_E_USAGE");
  await containers.remove("signals");
});

test("what the init leaves behind without a pid namespace of its own is killed before its end is reported", async () => {
  const linux = { namespaces: OWN_NAMESPACES.filter(({ type }) => type !== "pid") };
  await containers.start("orphans", ["sh", "-c", "sleep 1000 & echo left"], { linux });
  await containers.wait("orphans");
  assert.equal(readFileSync(join(agent.cgroup, "caisson/orphans/cgroup.procs"), "utf8"), "");
  assert.equal(await agent.read("orphans"), "left\n", "and it does not keep the output open");
  await containers.remove("orphans");
});

test("PauseContainer stops every process until ResumeContainer", async () => {
  await containers.start("frozen", ["sh", "-c", "while :; do echo tick; sleep 0.01; done"]);
  const reader = agent.reader("frozen");
  await reader.until("tick\n");
  await agent.call("pauseContainer", { containerId: "frozen" });
  // What was on its way comes yet.
  let before = "";
  for (let tries = 0; reader.text !== before; tries++) {
    assert.ok(tries < 60, "it goes on");
    before = reader.text;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const joining = containers.exec("frozen", "e", ["true"]);
  const paused = Symbol("paused");
  assert.equal(await Promise.race([joining, new Promise((resolve) => setTimeout(resolve, 50, paused))]), paused);
  await agent.call("resumeContainer", { containerId: "frozen" });
  await reader.until(`${before}tick\n`);
  await joining;
  assert.equal((await containers.wait("frozen", "e")).exitCode, 0, "what joined meanwhile runs now");
  await agent.call("pauseContainer", { containerId: "frozen" });
  await containers.signal("frozen", 9);
  assert.equal((await containers.wait("frozen")).signal, 9, "a frozen process can be killed");
  await containers.remove("frozen");
});

test("ListProcesses and Stats describe what runs", async () => {
  const pid = await containers.start("busy", ["sleep", "2000"]);
  await containers.exec("busy", "other", ["sleep", "1000"]);
  const { processes } = await agent.call("listProcesses", { containerId: "busy" });
  assert.deepEqual(processes.map(({ command }) => command).sort(), ["sleep 1000", "sleep 2000"]);
  const init = processes.find((process) => process.pid === pid);
  assert.equal(init?.uid, 0);
  const age = Date.now() - Number((init?.startedAtNs ?? 0n) / 1_000_000n);
  assert.ok(age > -1000 && age < 60_000, `started ${age} ms ago`);
  const stats = await agent.call("stats", { containerId: "busy" });
  assert.ok((stats.cpu?.usageUsec ?? 0n) > 0n);
  await containers.remove("busy", true);
});
