/** Streams that go through ports, between the host's code and a real agent, which is a process here. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { closeSync } from "node:fs";
import { connect } from "node:net";
import { Readable, Writable } from "node:stream";
import { after, before, test } from "node:test";
import { openpty, pipe } from "../../../native/posix/index.ts";
import { PollStream } from "../../../native/vsock/index.ts";
import { AgentContainers } from "../../../test/harness/agent/agent-containers.ts";
import { AgentProcess } from "../../../test/harness/agent/agent-process.ts";
import { processOf } from "../../../test/harness/agent/bundle.ts";
import { streamPortsOf } from "../../../test/harness/agent/stream-ports.ts";
import type { StreamPorts } from "../../vm/stream-ports.ts";
import { Agent } from "../agent/client.ts";
import { GuestProcess } from "../process.ts";
import type { ProcessIo } from "./pump.ts";

const MIB = 1024 * 1024;
const PORTS = 2;

let process: AgentProcess;
let containers: AgentContainers;
let agent: Agent;
let ports: StreamPorts & Disposable;
/** How many streams have been given a port. */
let given = 0;

before(async () => {
  process = await AgentProcess.start();
  containers = new AgentContainers(process);
  agent = new Agent(connect(`${process.folder}/agent.sock`));
  ports = await streamPortsOf(`${process.folder}/agent.sock`, PORTS);
  const take = ports.take.bind(ports);
  ports.take = (way) => {
    const port = take(way);
    if (port !== undefined) given += 1;
    return port;
  };
  await containers.start("c", ["sleep", "1000"]);
});
after(async () => {
  agent.close();
  ports[Symbol.dispose]();
  await process.stop();
});

const NO_IO: ProcessIo = { stdin: undefined, stdout: undefined, stderr: undefined };

/** Runs a process with those streams. */
async function run(execId: string, args: string[], io: Partial<ProcessIo>, terminal = false): Promise<GuestProcess> {
  const lost = async () => ({ reason: "killed" as const, description: "", consoleLines: [], qemuMessage: "" });
  const vm = {
    agent,
    machine: { streamPorts: ports, lastConsoleLines: () => [], shareWarning: undefined },
    vcpus: 1,
    mostMemoryMib: 64,
    isShared: false,
    giveUp: lost,
    lost,
    deathBehind: async () => undefined,
  };
  const processJson = Buffer.from(JSON.stringify(processOf(args, { terminal })));
  const request = { process: { containerId: "c", execId }, processJson, noStdin: false, cgroup: "" };
  return await GuestProcess.exec(vm, { ...request, rows: 0, columns: 0, keepNewlines: false }, { ...NO_IO, ...io });
}

/** Takes all, and says what it was. */
class Digest extends Writable {
  bytes = 0;
  readonly #hash = createHash("sha256");

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    setImmediate(done);
  }

  get hex(): string {
    return this.#hash.digest("hex");
  }
}

/** All ports are free again. */
async function allFree(): Promise<void> {
  for (const way of ["fromGuest", "toGuest"] as const) {
    for (let tries = 0; ; tries++) {
      const taken = Array.from({ length: PORTS }, () => ports.take(way)).filter((port) => port !== undefined);
      for (const port of taken) ports.giveBack(port);
      if (taken.length === PORTS) break;
      assert.ok(tries < 500, `${PORTS - taken.length} are not free ${way}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Waits until ports are in use. */
async function taken(way: "fromGuest" | "toGuest", wanted: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    const free = Array.from({ length: PORTS }, () => ports.take(way)).filter((port) => port !== undefined);
    for (const port of free) ports.giveBack(port);
    if (PORTS - free.length === wanted) return;
    assert.ok(tries < 500, `${PORTS - free.length} are in use`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("what goes through ports both ways comes back whole, again and again, and more streams than ports do as well", async () => {
  const block = Buffer.alloc(64 * 1024);
  const blocks = Array.from({ length: 160 }, (_, index) => {
    block.writeUInt32LE(index);
    return Buffer.from(block);
  });
  const expected = createHash("sha256").update(Buffer.concat(blocks)).digest("hex");
  for (const round of [1, 2, 3]) {
    given = 0;
    const all = [1, 2, 3].map(async (number) => {
      const stdout = new Digest();
      const stdin = Readable.from(blocks, { objectMode: false });
      const cat = await run(`cat-${round}-${number}`, ["cat"], { stdin, stdout });
      assert.equal((await cat.exit).exitCode, 0);
      assert.deepEqual([stdout.bytes, stdout.hex], [10 * MIB, expected]);
    });
    await Promise.all(all);
    assert.ok(given >= 2 * PORTS, `only ${given} ports were in use`);
    await allFree();
  }
});

test("stdout and stderr have ports of their own, and the end of one is not the other's", async () => {
  const [stdout, stderr] = [new Digest(), new Digest()];
  given = 0;
  const script = "head -c 4194304 /dev/zero & head -c 3145728 /dev/zero >&2; wait; exec >&-; echo tail >&2";
  const sh = await run("both", ["sh", "-c", script], { stdout, stderr });
  assert.equal((await sh.exit).exitCode, 0);
  assert.deepEqual([stdout.bytes, stderr.bytes], [4 * MIB, 3 * MIB + 5]);
  assert.equal(given, 2);
  await allFree();
});

test("a reader that does not read stops the writer, and one that leaves frees the port and ends the writer", async () => {
  const [reader, writer] = pipe();
  const stdout = new PollStream({ fd: writer, readable: false });
  stdout.on("error", () => {});
  const yes = await run("yes", ["yes"], { stdout });
  const source = new PollStream({ fd: reader, writable: false });
  let received = 0;
  await new Promise<void>((resolve) => {
    source.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (received > 8 * MIB) resolve();
    });
  });
  await taken("fromGuest", 1);
  source.pause();
  const cpu = async () => (await process.call("listProcesses", { containerId: "c" })).processes.at(-1)?.cpuNs ?? 0n;
  for (let before = -1n, tries = 0; before !== (await cpu()); tries++) {
    assert.ok(tries < 100, "it goes on writing");
    before = await cpu();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  source.destroy();
  await allFree();
  assert.equal((await yes.exit).exitCode, 141);
});

test("a process that closes its stdin early frees the port, and gets no more", async () => {
  const stdin = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(64 * 1024);
    })(),
    { objectMode: false },
  );
  const head = await run("head", ["sh", "-c", "head -c 3000000 >/dev/null; exec <&-; exec sleep 1000"], { stdin });
  await new Promise((resolve) => stdin.once("close", resolve));
  await allFree();
  await containers.signal("c", 9, false, "head");
  await head.exit;
});

test("the end of a process whose child keeps the output is not held up, and the port is free again", async () => {
  const stdout = new Digest();
  const sh = await run("left", ["sh", "-c", "head -c 5242880 /dev/zero; sleep 1000 & exit 4"], { stdout });
  assert.equal((await sh.exit).exitCode, 4);
  assert.equal(stdout.bytes, 5 * MIB);
  await allFree();
});

test("an output that has become silent gives its port to another, and is not cut off by that", async () => {
  const outputs = [new Digest(), new Digest()];
  const script = "head -c 2097152 /dev/zero; read line; head -c 3 /dev/zero";
  const ends: (() => void)[] = [];
  const idle = outputs.map((stdout, index) => {
    const stdin = new Readable({ read: () => {} });
    ends.push(() => {
      stdin.push("\n");
      stdin.push(null);
    });
    return run(`idle-${index}`, ["sh", "-c", script], { stdin, stdout });
  });
  const processes = await Promise.all(idle);
  await taken("fromGuest", PORTS);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  given = 0;
  const stdout = new Digest();
  const late = await run("late", ["head", "-c", "33554432", "/dev/zero"], { stdout });
  await late.exit;
  assert.deepEqual([stdout.bytes, given], [32 * MIB, 1]);
  for (const end of ends) end();
  for (const process of processes) await process.exit;
  assert.deepEqual(
    outputs.map(({ bytes }) => bytes),
    [2 * MIB + 3, 2 * MIB + 3],
  );
  await allFree();
});

test("a terminal's output goes through a port, and its hang-up ends it", async () => {
  const { master, slave } = openpty();
  const stdout = new Digest();
  const terminal = new PollStream({ fd: slave });
  const io = { stdin: terminal, stdout, terminal };
  const sh = await run("tty", ["sh", "-c", "head -c 8388608 /dev/zero; exec cat"], io, true);
  await taken("fromGuest", 1);
  for (let tries = 0; stdout.bytes < 8 * MIB; tries++) {
    assert.ok(tries < 3000, `${stdout.bytes} bytes have come`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  closeSync(master);
  assert.equal((await sh.exit).exitCode, 129);
  await allFree();
});
