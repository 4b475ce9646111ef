/** Containers by the agent's calls, from one's creation to the end of the sandbox. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentContainers, fails } from "../../test/harness/agent/agent-containers.ts";
import { AgentProcess } from "../../test/harness/agent/agent-process.ts";
import { configOf, OWN_NAMESPACES } from "../../test/harness/agent/bundle.ts";

let agent: AgentProcess;
let containers: AgentContainers;

before(async () => {
  agent = await AgentProcess.start();
  containers = new AgentContainers(agent);
});
after(() => agent.stop());

test("Check says the protocol, the version and the kernel", async () => {
  // The agent also reads the interfaces, which on a host come and go.
  const ask = () => agent.call("check", {});
  const answer = await ask().catch(ask).catch(ask).catch(ask);
  assert.equal(answer.protocolMajor, 2);
  assert.equal(answer.kernelRelease, release());
});

test("a container is created, started, waited for and deleted, and leaves no cgroup", async () => {
  await containers.create("life", ["echo", "hello"]);
  const waiting = containers.wait("life");
  await agent.call("startContainer", { containerId: "life", sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n });
  const before = BigInt(Date.now() - 10_000) * 1_000_000n;
  const answers = await Promise.all([waiting, containers.wait("life")]);
  assert.deepEqual(answers[0], answers[1]);
  const { exitedAtNs, ...rest } = answers[0];
  assert.deepEqual(rest, { exitCode: 0, signal: 0, oomKilled: false, guestMemoryExhausted: false });
  assert.ok(exitedAtNs > before);
  assert.equal(await agent.read("life"), "hello\n", "output outlives the process");
  const cgroup = join(agent.cgroup, "caisson/life");
  assert.ok(existsSync(cgroup));
  await containers.remove("life");
  assert.ok(!existsSync(cgroup));
  await containers.remove("life");
});

test("CreateContainer names what it cannot carry out, and leaves nothing behind", async () => {
  await fails(containers.create("none", ["/no/such/program"]), "CAISSON_E_COMMAND_NOT_FOUND", "process.args[0]");
  await fails(containers.create("none", ["/proc"]), "CAISSON_E_COMMAND_NOT_EXECUTABLE", "process.args[0]");
  const mounts = [{ destination: "/x", type: "bind", source: "/no/such", options: ["bind"] }];
  await fails(containers.create("none", ["true"], { mounts }), "CAISSON_E_PROCESS_SETUP", "mounts[0]");
  const resources = { memory: { swappiness: 60 } };
  const linux = { namespaces: OWN_NAMESPACES, resources };
  await fails(
    containers.create("none", ["true"], { linux }),
    "CAISSON_E_CONFIG_UNSUPPORTED",
    "linux.resources.memory.swappiness",
  );
  await fails(containers.create("../up", ["true"]), "CAISSON_E_ID_INVALID");
  const noJson = AgentContainers.request("none", Buffer.from("{"));
  await fails(agent.create(noJson), "CAISSON_E_CONFIG_INVALID");
  await fails(
    agent.call("startContainer", { containerId: "none", sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n }),
    "CAISSON_E_NOT_FOUND",
  );
  assert.ok(!existsSync(join(agent.cgroup, "caisson/none")));
});

test("CreateContainer starts the container as well where that is asked for", async () => {
  const start = { containerId: "", sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n };
  const run = (id: string, args: string[], more = {}) =>
    agent.create({ ...AgentContainers.request(id, configOf(containers.rootfs, args, more)), start });
  await run("at-once", ["echo", "hello"]);
  assert.equal((await containers.wait("at-once")).exitCode, 0);
  assert.equal(await agent.read("at-once"), "hello\n");
  await fails(agent.call("startContainer", { ...start, containerId: "at-once" }), "CAISSON_E_STATE");
  await containers.remove("at-once");
  const hooks = {
    startContainer: [{ path: "/bin/sh", args: ["sh", "-c", "grep -q created && echo hook >/tmp/hook"] }],
  };
  await run("hooked", ["cat", "/tmp/hook"], { hooks });
  assert.equal((await containers.wait("hooked")).exitCode, 0);
  assert.equal(await agent.read("hooked"), "hook\n");
  await containers.remove("hooked");
  writeFileSync(join(containers.rootfs, "tmp/no-program"), "\x7fELF", { mode: 0o755 });
  await fails(run("failing", ["/tmp/no-program"]), "CAISSON_E_COMMAND_NOT_EXECUTABLE", "process.args[0]");
  assert.ok(!existsSync(join(agent.cgroup, "caisson/failing")));
});

test("ids that runc takes are taken", async () => {
  for (const id of [".x", "+x", "a".repeat(255)]) {
    await containers.start(id, ["sleep", "1000"]);
  }
});

test("ids in use and wrong states are refused", async () => {
  await containers.create("once", ["sleep", "1000"]);
  await fails(containers.create("once", ["true"]), "CAISSON_E_ID_IN_USE");
  await agent.call("startContainer", { containerId: "once", sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n });
  await fails(
    agent.call("startContainer", { containerId: "once", sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n }),
    "CAISSON_E_STATE",
  );
  await fails(agent.call("resumeContainer", { containerId: "once" }), "CAISSON_E_STATE");
  await fails(containers.remove("once"), "CAISSON_E_STATE");
  await containers.remove("once", true);
  await fails(containers.signal("once", 0), "CAISSON_E_NOT_FOUND");
});

test("a created container can be deleted by force without having run", async () => {
  await containers.create("unborn", ["sh", "-c", "echo ran > /tmp/ran"]);
  await containers.remove("unborn", true);
  assert.ok(!existsSync(join(containers.rootfs, "tmp/ran")));
});

test("UpdateContainer changes limits and names the field of one that the kernel does not have", async () => {
  await containers.start("limits", ["sleep", "1000"]);
  const update = (resources: object): Promise<unknown> =>
    agent.call("updateContainer", { containerId: "limits", resourcesJson: Buffer.from(JSON.stringify(resources)) });
  await update({ unified: { "cgroup.max.depth": "3" } });
  assert.equal(readFileSync(join(agent.cgroup, "caisson/limits/cgroup.max.depth"), "utf8"), "3\n");
  const field = 'linux.resources.unified["misc.no_such"]';
  await fails(update({ unified: { "misc.no_such": "1" } }), "CAISSON_E_CGROUP", field);
  await containers.remove("limits", true);
});

test("devices that no rule allows cannot be opened", async () => {
  const devices = [{ path: "/dev/mem", type: "c", major: 1, minor: 1 }];
  const script = "cat /dev/mem 2>&1 | head -c 100; head -c 1 /dev/zero | cat > /dev/null && echo zero";
  const linux = { namespaces: OWN_NAMESPACES, devices };
  assert.match(await containers.outputOf("devices", ["sh", "-c", script], { linux }), /Operation not permitted.*zero/s);
});

test("a container joins the namespaces of another one, and no others", async () => {
  await containers.start("first", ["sleep", "1000"], { hostname: "shared" });
  const joining = (path: string): object => ({
    linux: { namespaces: [{ type: "pid" }, { type: "mount" }, { type: "uts", path }] },
  });
  const path = "/run/caisson/containers/first/ns/uts";
  assert.equal(await containers.outputOf("second", ["hostname"], joining(path)), "shared\n");
  const field = "linux.namespaces[2].path";
  await fails(containers.create("third", ["true"], joining("/proc/1/ns/uts")), "CAISSON_E_STATE", field);
  await fails(containers.create("third", ["true"], joining("/var/run/netns/x")), "CAISSON_E_CONFIG_INVALID", field);
  await fails(
    containers.create("third", ["true"], joining(path.replace("uts", "net"))),
    "CAISSON_E_CONFIG_INVALID",
    field,
  );
  await containers.remove("first", true);
  await fails(containers.create("third", ["true"], joining(path)), "CAISSON_E_STATE", field);
});

test("CreateSandbox works once, sets the host name and starts the log; DestroySandbox ends every container", async () => {
  await containers.start("last", ["sleep", "1000"]);
  const none = { entropy: Buffer.alloc(0), share: undefined, networkRequests: Buffer.alloc(0) };
  const growth = { memoryGrowth: undefined, reportFreeMemory: false };
  const request = { ...none, ...growth, realtimeNs: 0n, logLevel: "debug" };
  await fails(agent.createSandbox({ ...request, sandboxId: "a/b", hostname: "" }), "CAISSON_E_ID_INVALID");
  const { log, over } = await agent.createSandbox({ ...request, sandboxId: "pod", hostname: "sandbox" });
  await fails(agent.createSandbox({ ...request, sandboxId: "pod", hostname: "" }), "CAISSON_E_STATE");
  // What the sandbox tells, until it is destroyed.
  await containers.exec("", "alone", ["sh", "-c", "sleep 0.1; kill -9 $PPID; exec sleep 1000"]);
  assert.match((await log).message, /container-init ended without a report/);
  const linux = { namespaces: OWN_NAMESPACES.filter(({ type }) => type !== "uts") };
  assert.equal(await containers.outputOf("named", ["hostname"], { linux }), "sandbox\n");
  await containers.create("in-pod", ["true"], { linux: { ...linux, cgroupsPath: "/kube/pod/in-pod" } });
  assert.ok(existsSync(join(agent.cgroup, "kube/pod/in-pod")));
  await agent.call("destroySandbox", {});
  await over;
  await agent.call("destroySandbox", {});
  await fails(containers.signal("last", 0), "CAISSON_E_NOT_FOUND");
  assert.ok(!existsSync(join(agent.cgroup, "kube")));
  assert.ok(!existsSync(join(agent.cgroup, "caisson")));
  await agent.createSandbox({ ...request, sandboxId: "next", hostname: "" });
  assert.equal(await containers.outputOf("late", ["echo", "again"]), "again\n", "a destroyed sandbox is blank");
});

test("CreateContainer waits for the share of CreateSandbox, and says that it could not be mounted", async () => {
  await agent.call("destroySandbox", {});
  const none = { entropy: Buffer.alloc(0), networkRequests: Buffer.alloc(0), memoryGrowth: undefined };
  const share = { tag: "none", slotAddress: 1n };
  const request = { ...none, share, sandboxId: "unshared", hostname: "", realtimeNs: 0n, logLevel: "debug" };
  await agent.createSandbox({ ...request, reportFreeMemory: false });
  await fails(containers.create("none", ["true"]), "CAISSON_E_STORAGE");
  await agent.call("destroySandbox", {});
  assert.equal(await containers.outputOf("late", ["echo", "again"]), "again\n");
});

test("CreateSandbox whose caller does not wait for the answer makes a sandbox all the same, which can be destroyed", async () => {
  const none = { entropy: Buffer.alloc(0), networkRequests: Buffer.alloc(0), memoryGrowth: undefined };
  const share = { tag: "none", slotAddress: 1n };
  const request = { ...none, share, hostname: "", realtimeNs: 0n, logLevel: "debug", reportFreeMemory: false };
  for (let each = 0; each < 20; each++) {
    const call = agent.client.createSandbox({ ...request, sandboxId: "left" }).on("error", () => {});
    await sleep(each % 5);
    call.cancel();
    await agent.call("destroySandbox", {});
  }
});
