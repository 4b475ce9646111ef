import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { AgentServer } from "../../protocol/generated/agent.ts";
import { connectedAgent } from "../../test/harness/agent/connected-agent.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import { Container } from "./container.ts";

const SIGTERM = 15;
const SIGKILL = 9;

/** A running container that does not end, of an agent that confirms no signals by default; what its VM was given up for. */
async function running(
  t: TestContext,
  { confirms = false, isShared = false, dies = false } = {},
): Promise<{ container: Container; givenUp: string[] }> {
  const handlers: Partial<AgentServer> = {
    createContainer: (_call, callback) =>
      callback(null, { pid: 2, receivedNs: 0n, answeredNs: 0n, initBegunNs: 0n, initReachedNs: 0n }),
    startContainer: (_call, callback) => callback(null, { receivedNs: 0n, answeredNs: 0n }),
    followProcess: () => {},
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
  const io = { stdin: undefined, stdout: undefined, stderr: undefined };
  const container = await Container.create(vm, "c", { spec: defaultSpec(), seccomp: undefined, bundle: "/" }, io);
  await container.start();
  return { container, givenUp };
}

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
