import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import type { AgentServer } from "../../protocol/generated/agent.ts";
import { connectedAgent } from "../../test/harness/agent/connected-agent.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import { Container } from "./container.ts";

const SIGTERM = 15;
const SIGKILL = 9;
const TIMES = { receivedNs: 0n, answeredNs: 0n, initBegunNs: 0n, initReachedNs: 0n };
const CREATED = { stdout: undefined, stderr: undefined, exit: undefined, pid: 2, created: TIMES };
const IO = { stdin: undefined, stdout: undefined, stderr: undefined };

/** A running container that does not end, of an agent that confirms no signals by default; what its VM was given up for. */
async function running(
  t: TestContext,
  { confirms = false, isShared = false, dies = false } = {},
): Promise<{ container: Container; givenUp: string[] }> {
  const handlers: Partial<AgentServer> = {
    createContainer: (call) => void call.write(CREATED),
    startContainer: (_call, callback) => callback(null, { receivedNs: 0n, answeredNs: 0n }),
    signalProcess: (_call, callback) => (dies ? agent.close() : confirms && callback(null, {})),
  };
  const agent = connectedAgent(t, handlers);
  const givenUp: string[] = [];
  const death = { reason: "vm-error" as const, description: "was given up", consoleLines: [], qemuMessage: "" };
  const giveUp = async (why: string) => {
    givenUp.push(why);
    agent.close();
    return death;
  };
  const deathBehind = async () => (dies ? death : undefined);
  const vm = { agent, vcpus: 1, mostMemoryMib: 1, isShared, giveUp, lost: async () => death, deathBehind };
  const container = await Container.create(vm, "c", { spec: defaultSpec(), seccomp: undefined, bundle: "/" }, IO);
  await container.start();
  return { container, givenUp };
}

/** Creates a container of an agent that answers so. @returns the pid of its init. */
async function created(t: TestContext, createContainer: AgentServer["createContainer"], hooks = {}): Promise<number> {
  const death = { reason: "killed" as const, description: "was ended", consoleLines: [], qemuMessage: "" };
  const lost = async () => death;
  const agent = connectedAgent(t, { createContainer });
  const vm = { agent, vcpus: 1, mostMemoryMib: 1, isShared: false, giveUp: lost, lost, deathBehind: async () => death };
  const spec = { ...defaultSpec(), hooks };
  return (await Container.create(vm, "c", { spec, seccomp: undefined, bundle: "/" }, IO)).init.pid;
}

describe("Container.create", () => {
  it("fails as the agent does, and believes only what can be", async (t) => {
    const metadata = new Metadata();
    metadata.set("caisson-code", "CAISSON_E_PROCESS_SETUP");
    metadata.set("caisson-field", "mounts[0]");
    const refused = created(t, (call) => void call.emit("error", { code: 9, details: "no such file", metadata }));
    await assert.rejects(refused, { code: "CAISSON_E_PROCESS_SETUP", field: "mounts[0]", message: /no such file/ });
    const silent = created(t, (call) => void call.end());
    await assert.rejects(silent, /answer to createContainer is malformed: it ended before all was told/);
    const untimed = created(t, (call) => void call.write({ ...CREATED, created: undefined }));
    await assert.rejects(untimed, /answer to createContainer is malformed: created is missing/);
  });

  it("waits as long as the hooks may take, though a timer cannot", async (t) => {
    const answering: AgentServer["createContainer"] = (call) => void setTimeout(() => call.write(CREATED), 50);
    const hook = { path: "/hook", timeout: 2 ** 31 - 1 };
    assert.equal(await created(t, answering, { createContainer: [hook] }), CREATED.pid);
  });
});

describe("Container.kill", { concurrency: true }, () => {
  it("gives a VM up whose agent does not confirm SIGKILL, and the container has ended then", async (t) => {
    const { container, givenUp } = await running(t);
    await container.kill(SIGKILL);
    assert.deepEqual(givenUp, ["its agent did not confirm SIGKILL for container c within 5 s"]);
    assert.equal(container.lifecycle, "stopped");
    assert.equal((await container.wait()).exitCode, 255);
  });

  it("gives a VM up in which the container does not end by SIGKILL, unless there are others", async (t) => {
    const alone = await running(t, { confirms: true });
    const shared = await running(t, { confirms: true, isShared: true });
    for (const { container } of [alone, shared]) await container.kill(SIGKILL);
    assert.equal(alone.container.lifecycle, "running");
    assert.equal((await alone.container.wait()).exitCode, 255);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([alone.givenUp, shared.givenUp], [["container c did not end within 10 s of SIGKILL"], []]);
  });

  it("has sent a signal to a container whose VM dies meanwhile; what else is asked is told of the death", async (t) => {
    for (const signal of [SIGKILL, SIGTERM]) {
      const { container } = await running(t, { dies: true });
      await container.kill(signal);
      await assert.rejects(container.delete(), {
        code: "CAISSON_E_VM_DIED",
        message: /^container c has ended: the VM was given up\./,
      });
    }
  });

  it("gives no VM up for another signal", async (t) => {
    const { container, givenUp } = await running(t);
    const sent = container.kill(SIGTERM);
    sent.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 5500));
    assert.deepEqual([givenUp, container.lifecycle], [[], "running"]);
  });
});
