import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ServiceError } from "@grpc/grpc-js";
import type { WaitProcessResponse } from "../../protocol/generated/agent.ts";
import { AgentProcess } from "../../test/harness/agent/agent-process.ts";
import { configOf, makeRootfs, OWN_NAMESPACES, processOf } from "../../test/harness/agent/bundle.ts";

let agent: AgentProcess;
let rootfs: string;

before(async () => {
  agent = await AgentProcess.start();
  rootfs = makeRootfs(agent.folder);
});
after(() => agent.stop());

/** Creates a container that runs these words; it still waits to be started. */
async function create(containerId: string, args: string[], more = {}, process = {}): Promise<number> {
  const configJson = configOf(rootfs, args, more, process);
  return (
    await agent.call("createContainer", {
      containerId,
      configJson,
      rows: 0,
      columns: 0,
      seccomp: undefined,
      bundle: "",
      sharedMemoryBytes: 0n,
      noStdin: false,
      keepNewlines: false,
      disks: [],
      diskMounts: [],
    })
  ).pid;
}

async function start(containerId: string, args: string[], more = {}, process = {}): Promise<number> {
  const pid = await create(containerId, args, more, process);
  await agent.call("startContainer", { containerId, sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n });
  return pid;
}

function wait(containerId: string, execId = ""): Promise<WaitProcessResponse> {
  return agent.call("waitProcess", { process: { containerId, execId } });
}

function exec(containerId: string, execId: string, args: string[], more = {}, cgroup = ""): Promise<{ pid: number }> {
  const processJson = Buffer.from(JSON.stringify(processOf(args, more)));
  return agent.call("execProcess", {
    process: { containerId, execId },
    processJson,
    rows: 0,
    columns: 0,
    noStdin: false,
    cgroup,
    keepNewlines: false,
  });
}

function signal(containerId: string, number: number, all = false, execId = ""): Promise<unknown> {
  return agent.call("signalProcess", { process: { containerId, execId }, signal: number, all });
}

const remove = (containerId: string, force = false): Promise<unknown> =>
  agent.call("deleteContainer", { containerId, force });

/** Runs these words to their end and returns what they wrote. */
async function outputOf(containerId: string, args: string[], more = {}, process = {}): Promise<string> {
  await start(containerId, args, more, process);
  const text = await agent.read(containerId);
  await wait(containerId);
  await remove(containerId);
  return text;
}

/** Asserts that a call fails with this code, and with this field if one is given. */
async function fails(call: Promise<unknown>, code: string, field?: string): Promise<ServiceError> {
  let failure: ServiceError | undefined;
  await assert.rejects(call, (error: ServiceError) => {
    failure = error;
    assert.equal(error.metadata.get("caisson-code")[0], code, error.message);
    if (field !== undefined) assert.equal(error.metadata.get("caisson-field")[0], field, error.message);
    return true;
  });
  return failure as ServiceError;
}

test("Check says the protocol, the version and the kernel", async () => {
  // The agent also reads the interfaces, which on a host come and go.
  const ask = () => agent.call("check", {});
  const answer = await ask().catch(ask).catch(ask).catch(ask);
  assert.equal(answer.protocolMajor, 1);
  assert.equal(answer.kernelRelease, release());
});

test("a container is created, started, waited for and deleted, and leaves no cgroup", async () => {
  await create("life", ["echo", "hello"]);
  await fails(wait("nobody"), "CAISSON_E_NOT_FOUND");
  const waiting = wait("life");
  await agent.call("startContainer", { containerId: "life", sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n });
  const before = BigInt(Date.now() - 10_000) * 1_000_000n;
  const answers = await Promise.all([waiting, wait("life")]);
  assert.deepEqual(answers[0], answers[1]);
  const { exitedAtNs, ...rest } = answers[0];
  assert.deepEqual(rest, { exitCode: 0, signal: 0, oomKilled: false, guestMemoryExhausted: false });
  assert.ok(exitedAtNs > before);
  assert.equal(await agent.read("life"), "hello\n", "output outlives the process");
  const cgroup = join(agent.cgroup, "caisson/life");
  assert.ok(existsSync(cgroup));
  await remove("life");
  assert.ok(!existsSync(cgroup));
  await remove("life");
});

test("WaitProcess answers exit codes and signals", async () => {
  await start("seven", ["sh", "-c", "exit 7"]);
  assert.equal((await wait("seven")).exitCode, 7);
  await start("killed", ["sleep", "1000"]);
  await signal("killed", 9);
  const { exitCode, signal: number } = await wait("killed");
  assert.deepEqual({ exitCode, number }, { exitCode: 137, number: 9 });
  await fails(signal("killed", 15), "CAISSON_E_STATE");
  await remove("seven");
  await remove("killed");
});

test("CreateContainer names what it cannot carry out, and leaves nothing behind", async () => {
  await fails(create("none", ["/no/such/program"]), "CAISSON_E_COMMAND_NOT_FOUND", "process.args[0]");
  await fails(create("none", ["/proc"]), "CAISSON_E_COMMAND_NOT_EXECUTABLE", "process.args[0]");
  const mounts = [{ destination: "/x", type: "bind", source: "/no/such", options: ["bind"] }];
  await fails(create("none", ["true"], { mounts }), "CAISSON_E_PROCESS_SETUP", "mounts[0]");
  const resources = { memory: { swappiness: 60 } };
  const linux = { namespaces: OWN_NAMESPACES, resources };
  await fails(create("none", ["true"], { linux }), "CAISSON_E_CONFIG_UNSUPPORTED", "linux.resources.memory.swappiness");
  await fails(create("../up", ["true"]), "CAISSON_E_ID_INVALID");
  const noJson = {
    containerId: "none",
    configJson: Buffer.from("{"),
    rows: 0,
    columns: 0,
    seccomp: undefined,
    bundle: "",
    sharedMemoryBytes: 0n,
    noStdin: false,
    keepNewlines: false,
    disks: [],
    diskMounts: [],
  };
  await fails(agent.call("createContainer", noJson), "CAISSON_E_CONFIG_INVALID");
  await fails(
    agent.call("startContainer", { containerId: "none", sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n }),
    "CAISSON_E_NOT_FOUND",
  );
  assert.ok(!existsSync(join(agent.cgroup, "caisson/none")));
});

test("ids that runc takes are taken", async () => {
  for (const id of [".x", "+x", "a".repeat(255)]) {
    await start(id, ["sleep", "1000"]);
  }
});

test("ids in use and wrong states are refused", async () => {
  await create("once", ["sleep", "1000"]);
  await fails(create("once", ["true"]), "CAISSON_E_ID_IN_USE");
  await agent.call("startContainer", { containerId: "once", sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n });
  await fails(
    agent.call("startContainer", { containerId: "once", sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n }),
    "CAISSON_E_STATE",
  );
  await fails(agent.call("resumeContainer", { containerId: "once" }), "CAISSON_E_STATE");
  await fails(remove("once"), "CAISSON_E_STATE");
  await remove("once", true);
  await fails(signal("once", 0), "CAISSON_E_NOT_FOUND");
});

test("a created container can be deleted by force without having run", async () => {
  await create("unborn", ["sh", "-c", "echo ran > /tmp/ran"]);
  await remove("unborn", true);
  assert.ok(!existsSync(join(rootfs, "tmp/ran")));
});

test("ExecProcess adds processes with their own user, folder, environment and status", async () => {
  await start("host", ["sleep", "1000"], { hostname: "inside" });
  const own = { cwd: "/tmp", env: ["PATH=/bin", "COLOUR=blue"], user: { uid: 5, gid: 6 } };
  await exec("host", "e1", ["sh", "-c", "pwd; echo $COLOUR; id -u; id -g; hostname; exit 3"], own);
  assert.equal(await agent.read("host", "e1"), "/tmp\nblue\n5\n6\ninside\n");
  assert.equal((await wait("host", "e1")).exitCode, 3);
  await exec("host", "e1", ["true"]);
  assert.equal((await wait("host", "e1")).exitCode, 0, "the id is free again");
  await fails(exec("host", "e2", ["nope"]), "CAISSON_E_COMMAND_NOT_FOUND", "process.args[0]");
  await fails(wait("host", "e2"), "CAISSON_E_NOT_FOUND");
  await exec("host", "e3", ["sleep", "1000"]);
  await fails(exec("host", "e3", ["true"]), "CAISSON_E_ID_IN_USE");
  await signal("host", 15, false, "e3");
  assert.equal((await wait("host", "e3")).exitCode, 143);
  await exec("host", "e4", ["sleep", "1000"]);
  await signal("host", 9);
  assert.equal((await wait("host", "e4")).signal, 9, "it dies with the container");
  await wait("host");
  await fails(exec("host", "e5", ["true"]), "CAISSON_E_STATE");
  await remove("host");
});

test("ExecProcess without a container runs a process of the guest itself", async () => {
  const pid = await exec("", "shell-1", ["sh", "-c", "readlink /proc/self/ns/mnt /proc/$PPID/ns/mnt; exit 5"]).then(
    (answer) => answer.pid,
  );
  assert.ok(pid > 0);
  const [own, ofContainerInit] = (await agent.read("", "shell-1")).trim().split("\n");
  assert.equal(own, ofContainerInit);
  assert.notEqual(own, undefined);
  assert.equal((await wait("", "shell-1")).exitCode, 5);
  await exec("", "shell-2", ["sleep", "1000"]);
  await fails(exec("", "shell-2", ["true"]), "CAISSON_E_ID_IN_USE");
  await signal("", 15, false, "shell-2");
  assert.equal((await wait("", "shell-2")).exitCode, 143);
  await fails(wait("", "shell-3"), "CAISSON_E_NOT_FOUND");
});

test("SignalProcess sends realtime signals, and one to all processes", async () => {
  await start("signals", ["sh", "-c", "trap 'echo rt' 40; trap 'exit 4' 15; echo up; while :; do sleep 0.05; done"]);
  const reader = agent.reader("signals");
  await reader.until("up\n");
  await signal("signals", 0);
  await signal("signals", 40);
  await reader.until("up\nrt\n");
  await exec("signals", "other", ["sleep", "1000"]);
  await signal("signals", 15, true);
  assert.equal((await wait("signals", "other")).exitCode, 143);
  assert.equal((await wait("signals")).exitCode, 4);
  await fails(signal("signals", 99), "CAISSON_E_USAGE");
  await remove("signals");
});

test("what the init leaves behind without a pid namespace of its own is killed before its end is reported", async () => {
  const linux = { namespaces: OWN_NAMESPACES.filter(({ type }) => type !== "pid") };
  await start("orphans", ["sh", "-c", "sleep 1000 & echo left"], { linux });
  await wait("orphans");
  assert.equal(readFileSync(join(agent.cgroup, "caisson/orphans/cgroup.procs"), "utf8"), "");
  assert.equal(await agent.read("orphans"), "left\n", "and it does not keep the output open");
  await remove("orphans");
});

test("PauseContainer stops every process until ResumeContainer", async () => {
  await start("frozen", ["sh", "-c", "while :; do echo tick; sleep 0.01; done"]);
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
  const joining = exec("frozen", "e", ["true"]);
  const paused = Symbol("paused");
  assert.equal(await Promise.race([joining, new Promise((resolve) => setTimeout(resolve, 50, paused))]), paused);
  await agent.call("resumeContainer", { containerId: "frozen" });
  await reader.until(`${before}tick\n`);
  await joining;
  assert.equal((await wait("frozen", "e")).exitCode, 0, "what joined meanwhile runs now");
  await agent.call("pauseContainer", { containerId: "frozen" });
  await signal("frozen", 9);
  assert.equal((await wait("frozen")).signal, 9, "a frozen process can be killed");
  await remove("frozen");
});

test("ListProcesses and Stats describe what runs", async () => {
  const pid = await start("busy", ["sleep", "2000"]);
  await exec("busy", "other", ["sleep", "1000"]);
  const { processes } = await agent.call("listProcesses", { containerId: "busy" });
  assert.deepEqual(processes.map(({ command }) => command).sort(), ["sleep 1000", "sleep 2000"]);
  const init = processes.find((process) => process.pid === pid);
  assert.equal(init?.uid, 0);
  const age = Date.now() - Number((init?.startedAtNs ?? 0n) / 1_000_000n);
  assert.ok(age > -1000 && age < 60_000, `started ${age} ms ago`);
  const stats = await agent.call("stats", { containerId: "busy" });
  assert.ok((stats.cpu?.usageUsec ?? 0n) > 0n);
  await remove("busy", true);
});

test("UpdateContainer changes limits and names the field of one that the kernel does not have", async () => {
  await start("limits", ["sleep", "1000"]);
  const update = (resources: object): Promise<unknown> =>
    agent.call("updateContainer", { containerId: "limits", resourcesJson: Buffer.from(JSON.stringify(resources)) });
  await update({ unified: { "cgroup.max.depth": "3" } });
  assert.equal(readFileSync(join(agent.cgroup, "caisson/limits/cgroup.max.depth"), "utf8"), "3\n");
  const field = 'linux.resources.unified["misc.no_such"]';
  await fails(update({ unified: { "misc.no_such": "1" } }), "CAISSON_E_CGROUP", field);
  await remove("limits", true);
});

test("devices that no rule allows cannot be opened", async () => {
  const devices = [{ path: "/dev/mem", type: "c", major: 1, minor: 1 }];
  const script = "cat /dev/mem 2>&1 | head -c 100; head -c 1 /dev/zero | cat > /dev/null && echo zero";
  const linux = { namespaces: OWN_NAMESPACES, devices };
  assert.match(await outputOf("devices", ["sh", "-c", script], { linux }), /Operation not permitted.*zero/s);
});

test("a container joins the namespaces of another one, and no others", async () => {
  await start("first", ["sleep", "1000"], { hostname: "shared" });
  const joining = (path: string): object => ({
    linux: { namespaces: [{ type: "pid" }, { type: "mount" }, { type: "uts", path }] },
  });
  const path = "/run/caisson/containers/first/ns/uts";
  assert.equal(await outputOf("second", ["hostname"], joining(path)), "shared\n");
  const field = "linux.namespaces[2].path";
  await fails(create("third", ["true"], joining("/proc/1/ns/uts")), "CAISSON_E_STATE", field);
  await fails(create("third", ["true"], joining("/var/run/netns/x")), "CAISSON_E_CONFIG_INVALID", field);
  await fails(create("third", ["true"], joining(path.replace("uts", "net"))), "CAISSON_E_CONFIG_INVALID", field);
  await remove("first", true);
  await fails(create("third", ["true"], joining(path)), "CAISSON_E_STATE", field);
});

test("CreateSandbox works once, sets the host name and starts the log; DestroySandbox ends every container", async () => {
  await start("last", ["sleep", "1000"]);
  const none = { entropy: Buffer.alloc(0), share: undefined, networkRequests: Buffer.alloc(0) };
  const request = { ...none, realtimeNs: 0n, logLevel: "debug" };
  const log = agent.log();
  await fails(agent.call("createSandbox", { ...request, sandboxId: "a/b", hostname: "" }), "CAISSON_E_ID_INVALID");
  await agent.call("createSandbox", { ...request, sandboxId: "pod", hostname: "sandbox" });
  await fails(agent.call("createSandbox", { ...request, sandboxId: "pod", hostname: "" }), "CAISSON_E_STATE");
  assert.match((await log).message, /sandbox pod/);
  const linux = { namespaces: OWN_NAMESPACES.filter(({ type }) => type !== "uts") };
  assert.equal(await outputOf("named", ["hostname"], { linux }), "sandbox\n");
  await create("in-pod", ["true"], { linux: { ...linux, cgroupsPath: "/kube/pod/in-pod" } });
  assert.ok(existsSync(join(agent.cgroup, "kube/pod/in-pod")));
  await agent.call("destroySandbox", {});
  await agent.call("destroySandbox", {});
  await fails(signal("last", 0), "CAISSON_E_NOT_FOUND");
  assert.ok(!existsSync(join(agent.cgroup, "kube")));
  assert.ok(!existsSync(join(agent.cgroup, "caisson")));
  await agent.call("createSandbox", { ...request, sandboxId: "next", hostname: "" });
  assert.equal(await outputOf("late", ["echo", "again"]), "again\n", "a destroyed sandbox is blank");
});
