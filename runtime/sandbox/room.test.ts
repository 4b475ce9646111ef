import assert from "node:assert/strict";
import { test } from "node:test";
import { CaissonError } from "../../protocol/errors.ts";
import type { GrowSandboxRequest } from "../../protocol/generated/agent.ts";
import type { Agent } from "../guest/agent/client.ts";
import { Room } from "./room.ts";

const MIB = 1024 * 1024;
const VM = { machine: "microvm", memoryMib: 256, ceilingMib: 256 + 1024, vcpus: 1, mostVcpus: 4 } as const;

/** A guest that does as it is told, and what it was told. */
function guest(refuses = false) {
  const asked: GrowSandboxRequest[] = [];
  const call = async (_name: string, request: GrowSandboxRequest) => {
    if (refuses) throw new CaissonError("CAISSON_E_HOST", "no");
    asked.push(request);
    return request;
  };
  return { asked, agent: { call } as unknown as Pick<Agent, "call"> };
}

const memory = (mib: number) => ({ memory: { limit: BigInt(mib * MIB) } });
const cpus = (count: number) => ({ cpu: { quota: BigInt(count * 100_000), period: 100_000n } });

test("Room asks for nothing while the limits fit, and for as many steps as they need together", async () => {
  const { agent, asked } = guest();
  const room = new Room(agent, VM, 64);
  await room.make("first", memory(128));
  await room.make("unlimited", {});
  assert.deepEqual(asked, []);
  await room.make("second", memory(128));
  assert.deepEqual(asked, [{ memorySteps: 1, cpus: 1 }]);
  assert.equal(room.memoryMib, 384);
  await room.make("first", memory(400));
  assert.deepEqual(asked[1], { memorySteps: 3, cpus: 1 });
  room.leave("first");
  await room.make("third", memory(300));
  assert.equal(asked.length, 2, "what a container has left is another's");
});

test("Room keeps what a change does not name, and a limit that is taken away asks for nothing", async () => {
  const { agent, asked } = guest();
  const room = new Room(agent, VM, 0);
  await room.make("one", { ...memory(300), ...cpus(2) });
  await room.make("one", { pids: { limit: 5n } });
  await room.make("two", memory(100));
  assert.deepEqual(asked, [
    { memorySteps: 1, cpus: 2 },
    { memorySteps: 2, cpus: 2 },
  ]);
  await room.make("one", { memory: { limit: -1n } });
  await room.make("two", memory(384));
  assert.deepEqual([asked.length, room.vcpus], [2, 2]);
});

test("Room asks for no more than the VM can have", async () => {
  const { agent, asked } = guest();
  const room = new Room(agent, VM, 0);
  await room.make("one", { ...memory(100_000), ...cpus(64) });
  assert.deepEqual(asked, [{ memorySteps: 8, cpus: 4 }]);
  assert.deepEqual([room.memoryMib, room.mostMemoryMib, room.vcpus], [1280, 1280, 4]);
  const fixed = new Room(agent, { ...VM, ceilingMib: 256, mostVcpus: 1 }, 0);
  await fixed.make("one", { ...memory(1000), ...cpus(2) });
  assert.equal(asked.length, 1);
});

test("Room lets a container have what there is when the guest does not grow", async () => {
  const room = new Room(guest(true).agent, VM, 0);
  await room.make("one", memory(1000));
  assert.deepEqual([room.memoryMib, room.vcpus], [256, 1]);
});
