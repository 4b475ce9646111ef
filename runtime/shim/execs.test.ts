/** Processes that exec adds are forgotten once they have ended, on both fronts: a health check adds one every few seconds. */
import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type AgentServer, OutputState } from "../../protocol/generated/agent.ts";
import { connectedAgent } from "../../test/harness/agent/connected-agent.ts";
import { containerHandlers } from "../daemon/container-handlers.ts";
import { Container } from "../guest/container.ts";
import { defaultSpec } from "../oci/default-spec.ts";
import { PodContainer } from "../sandbox/pod-container.ts";
import { Task } from "./task.ts";
import type { TaskEvents } from "./task-events.ts";

const EXECS = 3000;
/** The first ones fill caches that keep their size. */
const WARM_UP = 500;
/** A process that is kept takes 20 KiB and more. */
const LIMIT_BYTES = 1024;
const INIT_PID = 2;
const TIMES = { receivedNs: 0n, answeredNs: 0n, initBegunNs: 0n, initReachedNs: 0n };
const NOTHING = { stdout: undefined, stderr: undefined, exit: undefined, pid: 0, created: undefined };

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** An agent whose processes say a word and end at once, but for the container's init. */
const HANDLERS: Partial<AgentServer> = {
  createContainer: (call) => void call.write({ ...NOTHING, pid: INIT_PID, created: TIMES }),
  startContainer: (_call, callback) => callback(null, { receivedNs: 0n, answeredNs: 0n }),
  execProcess: (call) => {
    const { stdoutBytes, stderrBytes } = call.request;
    call.write({ ...NOTHING, pid: INIT_PID + 1 });
    const exit = { exitCode: 0, signal: 0, exitedAtNs: 1n, oomKilled: false, guestMemoryExhausted: false };
    const word = { data: Buffer.from("word\n"), state: OutputState.OUTPUT_ENDED };
    const stdout = stdoutBytes > 0 ? word : undefined;
    const stderr = stderrBytes > 0 ? word : undefined;
    call.write({ ...NOTHING, stdout, stderr, exit });
    call.end();
  },
  writeStdin: (call, callback) => {
    call.on("data", () => {});
    call.on("end", () => callback(null, {}));
  },
};

async function container(t: TestContext): Promise<PodContainer> {
  const agent = connectedAgent(t, HANDLERS);
  const death = { reason: "killed" as const, description: "was ended", consoleLines: [], qemuMessage: "" };
  const vm = {
    agent,
    vcpus: 1,
    mostMemoryMib: 1,
    isShared: false,
    giveUp: async () => death,
    lost: async () => death,
    deathBehind: async () => undefined,
  };
  const io = { stdin: undefined, stdout: undefined, stderr: undefined };
  const made = await Container.create(vm, "c", { spec: defaultSpec(), seccomp: undefined, bundle: "/" }, io);
  await made.start();
  const parts = { container: made, host: { pid: 1 } } as unknown as ConstructorParameters<typeof PodContainer>[0];
  return new PodContainer(parts);
}

/** How much the heap grows with each call. */
async function growth(exec: (index: number) => Promise<void>): Promise<number> {
  let before = 0;
  for (let index = 0; index < EXECS; index++) {
    if (index === WARM_UP) before = heap();
    await exec(index);
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  return (heap() - before) / (EXECS - WARM_UP);
}

function heap(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

test(`${EXECS} execs of the command line leave nothing in the daemon`, async (t) => {
  const of = await container(t);
  const { exec, wait } = containerHandlers(() => of);
  const { args: _, ...process_ } = defaultSpec().process ?? assert.fail();
  const spec = { ...process_, terminal: false, args: ["true"] };
  const nothing = openSync("/dev/null", "r+");
  t.after(() => closeSync(nothing));
  const stdio = { pid: process.pid, stdin: nothing, stdout: nothing, stderr: nothing };
  const bytes = await growth(async () => {
    const connection = new Duplex() as Parameters<typeof exec>[1];
    const { execId } = await exec({ process: spec, stdio }, connection);
    assert.equal((await wait({ execId }, connection)).exitCode, 0);
    connection.destroy();
  });
  assert.ok(bytes < LIMIT_BYTES, `each leaves ${bytes.toFixed(0)} bytes`);
});

test(`${EXECS} execs of containerd's leave nothing in the shim`, async (t) => {
  const of = await container(t);
  const events = new Proxy({}, { get: () => () => {} }) as TaskEvents;
  const stdio = { stdin: "", stdout: "", stderr: "", terminal: false };
  const streams = { io: {}, input: {}, discard: () => {} } as unknown as ConstructorParameters<typeof Task>[2];
  const about = { bundle: "/", stdio, namespace: "n" };
  const task = new Task(of, about, streams, events);
  const spec = { ...(defaultSpec().process ?? assert.fail()), terminal: false, args: ["true"] };
  const bytes = await growth(async (index) => {
    const id = `exec-${index}`;
    task.addExec(id, spec, stdio);
    await task.start(id);
    assert.equal((await task.wait(id)).exitCode, 0);
    task.removeExec(id);
  });
  assert.ok(bytes < LIMIT_BYTES, `each leaves ${bytes.toFixed(0)} bytes`);
});
