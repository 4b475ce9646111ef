import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { duplexPair, Writable } from "node:stream";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { socketpair } from "../../native/posix/index.ts";
import { type AgentServer, type OutputNews, OutputState, type ProcessNews } from "../../protocol/generated/agent.ts";
import { connectedAgent } from "../../test/harness/agent/connected-agent.ts";
import { Agent } from "./agent/client.ts";
import type { GuestVm } from "./guest-vm.ts";
import { GuestProcess } from "./process.ts";
import { openInput } from "./stdio/pump.ts";

const ID = { containerId: "c", execId: "" };
const EXIT = { exitCode: 3, signal: 0, exitedAtNs: 1n, oomKilled: false, guestMemoryExhausted: false };
const DEATH = { reason: "vm-error" as const, description: "was given up", consoleLines: [], qemuMessage: "" };
const NO_IO = { stdin: undefined, stdout: undefined, stderr: undefined };
const PID = 7;
const NOTHING: ProcessNews = { stdout: undefined, stderr: undefined, exit: undefined, pid: 0, created: undefined };
const REQUEST = {
  process: ID,
  processJson: Buffer.alloc(0),
  noStdin: true,
  cgroup: "",
  rows: 0,
  columns: 0,
  keepNewlines: false,
};

/** A VM with that agent, and what was said of it when it was lost. */
function vmOf(agent: Agent): GuestVm & { said: string[] } {
  const said: string[] = [];
  const lost = async (error: unknown) => {
    said.push((error as Error).message);
    return DEATH;
  };
  return {
    agent,
    vcpus: 1,
    mostMemoryMib: 64,
    isShared: false,
    giveUp: lost,
    lost,
    deathBehind: async () => undefined,
    said,
  };
}

/** Takes nothing until it is told to. */
class Blocked extends Writable {
  received = 0;
  #waiting: (() => void) | undefined;
  #open = false;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.received += chunk.length;
    if (this.#open) done();
    else this.#waiting = done;
  }

  open(): void {
    this.#open = true;
    this.#waiting?.();
  }
}

const OUTPUT_BYTES = 1_000_000;

const HELD = { data: Buffer.alloc(0), state: OutputState.OUTPUT_HELD };

/** Adds a process, and tells that of it. */
function telling(...all: Partial<ProcessNews>[]): AgentServer["execProcess"] {
  return (call) => {
    for (const news of [{ pid: PID }, ...all]) call.write({ ...NOTHING, ...news });
    call.end();
  };
}

/** A process that has ended, and whose output is there to be read. */
const ENDED: Partial<AgentServer> = {
  execProcess: telling({ stdout: HELD, exit: EXIT }),
  readOutput: (call) => {
    for (let sent = 0; sent < OUTPUT_BYTES; sent += 50_000) call.write({ data: Buffer.alloc(50_000) });
    call.end();
  },
};

test("GuestProcess: a reader that does not read holds up the delivery of the output, and nothing else", async (t) => {
  const stdout = new Blocked();
  const process = await GuestProcess.exec(vmOf(connectedAgent(t, ENDED)), REQUEST, { ...NO_IO, stdout });
  assert.equal((await process.over).exitCode, 3);
  await process.collected;
  let delivered = false;
  void process.exit.then(() => {
    delivered = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([process.ended, delivered], [true, false]);
  stdout.open();
  await process.exit;
  assert.equal(stdout.received, OUTPUT_BYTES);
});

test("GuestProcess.abandonStalled drops output that nobody reads", async (t) => {
  const stdout = new Blocked().on("error", () => {});
  const process = await GuestProcess.exec(vmOf(connectedAgent(t, ENDED)), REQUEST, { ...NO_IO, stdout });
  await process.over;
  process.abandonStalled(50);
  assert.equal((await process.exit).exitCode, 3);
  assert.equal(stdout.destroyed, true);
});

test("GuestProcess: an output that goes away under the process does not hold up its end", async (t) => {
  let end = () => {};
  const agent = connectedAgent(t, {
    execProcess: (call) => {
      call.write({ ...NOTHING, pid: PID });
      call.write({ ...NOTHING, stdout: HELD });
      end = () => {
        call.write({ ...NOTHING, exit: EXIT });
        call.end();
      };
    },
    readOutput: (call) => {
      const writing = setInterval(() => call.write({ data: Buffer.alloc(100) }), 5).unref();
      call.once("cancelled", () => clearInterval(writing));
    },
  });
  const stdout = new Blocked();
  const process = await GuestProcess.exec(vmOf(agent), REQUEST, { ...NO_IO, stdout });
  await new Promise((resolve) => setTimeout(resolve, 50));
  stdout.destroy();
  end();
  assert.equal((await process.exit).exitCode, 3);
});

test("GuestProcess: without an answer to believe it ends with its VM, whose end says why", async (t) => {
  const malformed = vmOf(connectedAgent(t, { execProcess: telling({ exit: { ...EXIT, exitCode: 300 } }) }));
  const silent = vmOf(connectedAgent(t, { execProcess: telling() }));
  const refusing: AgentServer["execProcess"] = (call) => {
    call.write({ ...NOTHING, pid: PID });
    setImmediate(() => call.emit("error", { code: 5, details: "none" }));
  };
  const refused = vmOf(connectedAgent(t, { execProcess: refusing }));
  const cases = [
    [malformed, /answer to execProcess is malformed: exit.exit_code is 300/],
    [silent, /answer to execProcess is malformed: it ended before all was told/],
    [refused, /could not carry out execProcess: none/],
  ] as const;
  for (const [vm, sentence] of cases) {
    const { exitCode, death } = await (await GuestProcess.exec(vm, REQUEST, NO_IO)).exit;
    assert.deepEqual([exitCode, death], [255, DEATH]);
    assert.match(vm.said[0] ?? "", sentence);
  }
});

test("GuestProcess.exec fails when the connection carries garbage", async (t) => {
  const [hostSide, guestSide] = duplexPair();
  const broken = new Agent(hostSide);
  t.after(() => broken.close());
  guestSide.on("data", () => guestSide.write(Buffer.alloc(64, 0xff)));
  const message = /the connection to the agent (is closed, since it )?broke: Protocol error/;
  await assert.rejects(GuestProcess.exec(vmOf(broken), REQUEST, NO_IO), { code: "CAISSON_E_AGENT", message });
});

test("GuestProcess: an input that has ended before there is a process ends the process's stdin", {
  timeout: 10_000,
}, async (t) => {
  const ended = Promise.withResolvers<void>();
  const agent: Partial<AgentServer> = {
    execProcess: (call) => void call.write({ ...NOTHING, pid: PID }),
    writeStdin: (call, callback) => {
      call.resume().on("end", () => {
        callback(null, {});
        ended.resolve();
      });
    },
  };
  const [theirs, ours] = socketpair();
  closeSync(theirs);
  const stdin = openInput(ours);
  assert.ok(stdin);
  await delay(50);
  await GuestProcess.exec(vmOf(connectedAgent(t, agent)), REQUEST, { ...NO_IO, stdin });
  await ended.promise;
});

/** What a reader gets of a process that is told of like this, and of what ReadOutput brings after it. */
async function read(t: TestContext, told: OutputNews[], rest = ""): Promise<{ text: string; said: string[] }> {
  const agent = connectedAgent(t, {
    execProcess: telling(...told.map((stdout) => ({ stdout })), { exit: EXIT }),
    readOutput: (call) => {
      call.write({ data: Buffer.from(rest) });
      call.end();
    },
  });
  let text = "";
  const stdout = new Writable({
    write: (chunk, _encoding, done) => {
      text += chunk;
      done();
    },
  });
  const vm = vmOf(agent);
  await (await GuestProcess.exec(vm, REQUEST, { ...NO_IO, stdout })).exit;
  return { text, said: vm.said };
}

test("GuestProcess: the first output comes with the news, and the rest after it", async (t) => {
  const news = (text: string, state: OutputState = OutputState.OUTPUT_OPEN) => ({ data: Buffer.from(text), state });
  const whole = await read(t, [news("one "), news("two"), news("", OutputState.OUTPUT_ENDED)]);
  assert.deepEqual(whole, { text: "one two", said: [] });
  const held = await read(t, [news("one "), news("two ", OutputState.OUTPUT_HELD)], "three");
  assert.deepEqual(held, { text: "one two three", said: [] });
});

test("GuestProcess takes no more output with the news than it has asked for", async (t) => {
  const chunk = { data: Buffer.alloc(60_000), state: OutputState.OUTPUT_OPEN };
  const { text, said } = await read(t, [chunk, chunk]);
  assert.equal(text.length, 60_000);
  assert.match(said[0] ?? "", /execProcess is malformed: 120000 bytes of an output are told/);
});

test("GuestProcess.exec fails as the agent does, or within its limit, and leaves the streams alone", async (t) => {
  const exec = (execProcess: AgentServer["execProcess"], timeoutMs?: number) => {
    const stdout = new Blocked();
    const vm = vmOf(connectedAgent(t, { execProcess }));
    const added = GuestProcess.exec(vm, REQUEST, { ...NO_IO, stdout }, timeoutMs);
    return { added, stdout, vm };
  };
  const refused = exec((call) => void call.emit("error", { code: 5, details: "none" }));
  await assert.rejects(refused.added, { code: "CAISSON_E_AGENT", message: /could not carry out execProcess: none/ });
  const late = exec(() => {}, 50);
  await assert.rejects(late.added, { code: "CAISSON_E_TIMEOUT", message: /did not answer execProcess/ });
  const malformed = exec((call) => void call.write({ ...NOTHING, exit: EXIT }));
  await assert.rejects(malformed.added, /answer to execProcess is malformed: pid is 0/);
  for (const { stdout, vm } of [refused, late, malformed]) assert.deepEqual([stdout.destroyed, vm.said], [false, []]);
  const word = { data: Buffer.from("word"), state: OutputState.OUTPUT_ENDED };
  const told = exec(telling({ stdout: word, exit: EXIT }));
  told.stdout.open();
  const process = await told.added;
  assert.deepEqual([process.pid, (await process.exit).exitCode, told.stdout.received], [PID, 3, 4]);
});
