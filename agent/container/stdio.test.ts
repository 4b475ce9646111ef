import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type OutputChunk, OutputState, type ProcessNews, Stream } from "../../protocol/generated/agent.ts";
import { AgentContainers } from "../../test/harness/agent/agent-containers.ts";
import { AgentProcess } from "../../test/harness/agent/agent-process.ts";
import { configOf, makeRootfs, processOf } from "../../test/harness/agent/bundle.ts";

const MIB = 1024 * 1024;

let agent: AgentProcess;
let rootfs: string;

before(async () => {
  agent = await AgentProcess.start();
  rootfs = makeRootfs(agent.folder);
});
after(() => agent.stop());

async function start(containerId: string, args: string[], process = {}, rows = 0, columns = 0, noStdin = false) {
  const configJson = configOf(rootfs, args, {}, process);
  await agent.create({ ...AgentContainers.request(containerId, configJson), rows, columns, noStdin });
  await letGo(containerId);
}

function letGo(containerId: string): Promise<unknown> {
  return agent.call("startContainer", { containerId, sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n });
}

async function finish(containerId: string): Promise<number> {
  const { exitCode } = await agent.ended({ containerId, execId: "" });
  await agent.call("deleteContainer", { containerId, force: false });
  return exitCode;
}

/** Writes chunks to stdin as fast as the agent takes them; ends it if told to. */
async function writeStdin(containerId: string, chunks: Iterable<Buffer>, { end = true, execId = "" } = {}) {
  let answered = (_error: Error | null): void => {};
  const answer = new Promise<Error | null>((resolve) => {
    answered = resolve;
  });
  const call = agent.client.writeStdin((error) => answered(error));
  let process: { containerId: string; execId: string } | undefined = { containerId, execId };
  for (const data of chunks) {
    if (!call.write({ process, data, port: 0, portBytes: 0n }))
      await Promise.race([new Promise((resolve) => call.once("drain", resolve)), answer]);
    process = undefined;
  }
  if (end) call.end();
  return { answer, cancel: () => call.cancel() };
}

test("without stdin there is nothing to wait for", async () => {
  await start("alone", ["sh", "-c", "cat; exec sleep 1000"], {}, 0, 0, true);
  const process = { containerId: "alone", execId: "cat" };
  const processJson = Buffer.from(JSON.stringify(processOf(["cat"])));
  await agent.exec({
    process,
    processJson,
    rows: 0,
    columns: 0,
    noStdin: true,
    keepNewlines: false,
    cgroup: "",
  });
  assert.equal((await agent.ended(process)).exitCode, 0);
  await agent.call("deleteContainer", { containerId: "alone", force: true });

  await start("quiet", ["cat"], {}, 0, 0, true);
  assert.equal(await finish("quiet"), 0);
});

test("stdin reaches the process, its end closes it, and 128 MiB come back unchanged through bounded memory", async () => {
  await start("echo", ["cat"]);
  const sent = createHash("sha256");
  const received = createHash("sha256");
  const block = randomBytes(128 * 1024);
  function* blocks() {
    for (let count = 0; count < 1024; count += 1) {
      block.writeUInt32LE(count);
      sent.update(block);
      yield Buffer.from(block);
    }
  }
  const output = agent.client.readOutput({
    process: { containerId: "echo", execId: "" },
    stream: Stream.STREAM_STDOUT,
  });
  let length = 0;
  const ended = new Promise((resolve) => output.on("end", resolve));
  output.on("data", ({ data }: OutputChunk) => {
    length += data.length;
    received.update(data);
  });
  const before = agent.residentBytes();
  const { answer } = await writeStdin("echo", blocks());
  assert.equal(await answer, null);
  await ended;
  assert.equal(length, 128 * MIB);
  assert.equal(received.digest("hex"), sent.digest("hex"));
  const grown = agent.residentBytes() - before;
  assert.ok(grown < 96 * MIB, `the agent grew by ${grown / MIB} MiB`);
  assert.equal(await finish("echo"), 0);
});

test("a reader that stops reading stops the writer", async () => {
  await start("yes", ["yes"]);
  const before = agent.residentBytes();
  const close = await agent.openOutputUnread("yes");
  const cpuNs = async (): Promise<bigint> =>
    (await agent.call("listProcesses", { containerId: "yes" })).processes[0]?.cpuNs ?? -1n;
  for (let used = -2n, tries = 0; used !== (await cpuNs()); tries++) {
    assert.ok(tries < 60, "it does not wait in write()");
    used = await cpuNs();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const grown = agent.residentBytes() - before;
  assert.ok(grown < 16 * MIB, `the agent grew by ${grown / MIB} MiB`);
  close();
  await agent.call("deleteContainer", { containerId: "yes", force: true });
});

test("a second reader of a stream takes it over", async () => {
  await start("over", ["sh", "-c", "echo one; cat"]);
  const first = agent.reader("over");
  await first.until("one\n");
  const second = agent.reader("over");
  await assert.rejects(first.ended, /read by another call/);
  const { answer } = await writeStdin("over", [Buffer.from("two\n")]);
  assert.equal(await answer, null);
  await second.ended;
  assert.equal(second.text, "two\n");
  assert.equal(await finish("over"), 0);
});

test("stdout and stderr are separate, and one call reads each", async () => {
  await start("both", ["sh", "-c", "echo out; echo err >&2; cat"]);
  const reader = agent.reader("both");
  await reader.until("out\n");
  const errors = agent.read("both", "", Stream.STREAM_STDERR);
  await agent.call("closeStdin", { process: { containerId: "both", execId: "" } });
  await reader.ended;
  assert.equal(reader.text, "out\n");
  assert.equal(await errors, "err\n");
  assert.equal(await finish("both"), 0);
});

test("a new call reads on where a cancelled one stopped, and stdin stays open when its call breaks", async () => {
  await start("again", ["sh", "-c", "while read line; do echo got $line; done"]);
  const first = agent.reader("again");
  const { cancel } = await writeStdin("again", [Buffer.from("one\n")], { end: false });
  await first.until("got one\n");
  cancel();
  first.cancel();
  await assert.rejects(first.ended);
  const second = agent.reader("again");
  const { answer } = await writeStdin("again", [Buffer.from("two\n")]);
  assert.equal(await answer, null);
  await second.ended;
  assert.equal(second.text, "got two\n");
  assert.equal(await finish("again"), 0);
});

test("WriteStdin answers once the process has closed its stdin", async () => {
  await start("deaf", ["sh", "-c", "exec <&-; echo closed; sleep 1000"]);
  await agent.reader("deaf").until("closed\n");
  const { answer } = await writeStdin("deaf", [Buffer.from("x")], { end: false });
  assert.equal(await answer, null);
  await agent.call("deleteContainer", { containerId: "deaf", force: true });
});

test("output that is left in the pipe when the process ends is read to its end", async () => {
  await start("tail", ["sh", "-c", "head -c 60000 /dev/zero"]);
  await agent.ended({ containerId: "tail", execId: "" });
  assert.equal((await agent.read("tail")).length, 60000);
  assert.equal(await finish("tail"), 0);
});

test("/dev/stdout can be opened again by name", async () => {
  await start("name", ["sh", "-c", "echo named > /dev/stdout"]);
  assert.equal(await agent.read("name"), "named\n");
  assert.equal(await finish("name"), 0);
});

test("a terminal has its first size, follows ResizeTty, echoes, and ends with the container", async () => {
  await start("tty", ["sh", "-c", "stty size; read line; stty size; exit 5"], { terminal: true }, 30, 90);
  const reader = agent.reader("tty");
  await reader.until("30 90\r\n");
  const process = { containerId: "tty", execId: "" };
  await agent.call("resizeTty", { process, rows: 40, columns: 100 });
  const { answer } = await writeStdin("tty", [Buffer.from("go\n")]);
  assert.equal(await answer, null);
  await reader.ended;
  assert.equal(reader.text, "30 90\r\ngo\r\n40 100\r\n");
  await assert.rejects(agent.read("tty", "", Stream.STREAM_STDERR), /no stderr of its own/);
  assert.equal(await finish("tty"), 5);
});

test("HangUpTty ends a shell that reads its terminal, and what reads its output", async () => {
  await start("hung", ["sh", "-c", "echo ready; cat; exit 6"], { terminal: true });
  const reader = agent.reader("hung");
  await reader.until("ready\r\n");
  const process = { containerId: "hung", execId: "" };
  await agent.call("hangUpTty", { process });
  await reader.ended;
  // The first process of a pid namespace is spared the signal, and reads the end.
  assert.equal(await finish("hung"), 6);
});

test("a terminal keeps newlines from its start, or from SetTtyNewlines", async () => {
  const script = "echo one; read line; echo two";
  await start("lines", ["sleep", "1000"]);
  const process = { containerId: "lines", execId: "t" };
  const processJson = Buffer.from(JSON.stringify(processOf(["sh", "-c", script], { terminal: true })));
  const exec = { process, processJson, rows: 0, columns: 0, noStdin: false, cgroup: "" };
  await agent.exec({ ...exec, keepNewlines: true });
  const reader = agent.reader("lines", "t");
  await reader.until("one\n");
  await agent.call("setTtyNewlines", { process, keepNewlines: false });
  const { answer } = await writeStdin("lines", [Buffer.from("x\n")], { execId: "t" });
  assert.equal(await answer, null);
  await reader.ended;
  assert.equal(reader.text, "one\nx\r\ntwo\r\n");
  const init = { containerId: "lines", execId: "" };
  await assert.rejects(agent.call("setTtyNewlines", { process: init, keepNewlines: true }), /has no terminal/);
  await assert.rejects(agent.call("hangUpTty", { process: init }), /has no terminal/);
  await agent.call("deleteContainer", { containerId: "lines", force: true });
});

test("ExecProcess gives a process a terminal of its own", async () => {
  await start("plain", ["sleep", "1000"]);
  const process = { containerId: "plain", execId: "t" };
  const processJson = Buffer.from(JSON.stringify(processOf(["sh", "-c", "tty; stty size"], { terminal: true })));
  await agent.exec({
    process,
    processJson,
    rows: 11,
    columns: 22,
    noStdin: false,
    keepNewlines: false,
    cgroup: "",
  });
  assert.match(await agent.read("plain", "t"), /^\/dev\/pts\/\d+\r\n11 22\r\n$/);
  await assert.rejects(
    agent.call("resizeTty", { process: { ...process, execId: "" }, rows: 1, columns: 1 }),
    /has no terminal/,
  );
  await agent.call("deleteContainer", { containerId: "plain", force: true });
});

/** Starts a container, so many bytes of whose outputs are told. @returns all that is told of it, and the call. */
async function told(containerId: string, args: string[], bytes: number) {
  const request = AgentContainers.request(containerId, configOf(rootfs, args));
  const call = agent.client.createContainer({ ...request, stdoutBytes: bytes, stderrBytes: bytes });
  const all: ProcessNews[] = [];
  call.on("data", (each: ProcessNews) => all.push(each));
  const over = once(call, "end");
  await once(call, "data");
  return { call, all, over };
}

test("CreateContainer brings what little is written, and the end of all together", async () => {
  const { all, over } = await told("brief", ["sh", "-c", "echo out; echo err >&2; exit 3"], 100);
  await letGo("brief");
  await over;
  const text = (of: "stdout" | "stderr") =>
    Buffer.concat(all.map((each) => each[of]?.data ?? Buffer.alloc(0))).toString();
  assert.deepEqual([text("stdout"), text("stderr")], ["out\n", "err\n"]);
  const last = all.at(-1);
  assert.equal(last?.exit?.exitCode, 3);
  for (const output of ["stdout", "stderr"] as const) {
    assert.equal(all.findLast((each) => each[output] !== undefined)?.[output]?.state, OutputState.OUTPUT_ENDED);
  }
  await agent.call("deleteContainer", { containerId: "brief", force: false });
});

test("CreateContainer leaves to ReadOutput what is more than is wanted, and the end of an output does not wait for the process's", async () => {
  const script = "head -c 300000 /dev/zero; exec >&- 2>&-; read line; exit 4";
  const { call, all, over } = await told("long", ["sh", "-c", script], 10);
  let ended = () => {};
  const stderrEnded = new Promise<void>((resolve) => {
    ended = resolve;
  });
  call.on("data", (each: ProcessNews) => {
    if (each.stderr?.state === OutputState.OUTPUT_ENDED) ended();
  });
  const held = new Promise<void>((resolve) => call.on("data", (each: ProcessNews) => each.stdout && resolve()));
  await letGo("long");
  await held;
  const rest = await agent.read("long");
  await stderrEnded;
  const brought = Buffer.concat(all.map(({ stdout }) => stdout?.data ?? Buffer.alloc(0)));
  assert.ok(brought.length >= 10 && brought.length <= 10 + 64 * 1024, `${brought.length}`);
  assert.equal(brought.length + rest.length, 300_000);
  assert.equal(all.findLast(({ stdout }) => stdout !== undefined)?.stdout?.state, OutputState.OUTPUT_HELD);
  const { answer } = await writeStdin("long", [Buffer.from("x\n")]);
  assert.equal(await answer, null);
  await over;
  assert.equal(all.at(-1)?.exit?.exitCode, 4);
  await agent.call("deleteContainer", { containerId: "long", force: false });
});

test("CreateContainer ends when a container is deleted that was never started", async () => {
  const { all, over } = await told("unstarted", ["true"], 100);
  await agent.call("deleteContainer", { containerId: "unstarted", force: true });
  await over;
  assert.equal(all.findLast(({ exit }) => exit !== undefined)?.exit?.signal, 9);
});

test("CreateContainer that is cancelled leaves the outputs to ReadOutput, and the container to DeleteContainer", async () => {
  // Time to cancel it.
  const hook = { path: "/bin/sh", args: ["sh", "-c", "sleep 0.5"], env: ["PATH=/bin:/usr/bin"] };
  const config = configOf(rootfs, ["echo", "word"], { hooks: { createContainer: [hook] } });
  const request = AgentContainers.request("cancelled", config);
  const call = agent.client.createContainer({ ...request, stdoutBytes: 100, stderrBytes: 100 });
  const cancelled = once(call, "error");
  while (!existsSync(join(agent.cgroup, "caisson/cancelled"))) await delay(10);
  call.cancel();
  await cancelled;
  const isStarted = () =>
    letGo("cancelled").then(
      () => true,
      () => false,
    );
  while (!(await isStarted())) await delay(10);
  assert.equal(await agent.read("cancelled"), "word\n");
  await agent.call("deleteContainer", { containerId: "cancelled", force: true });
});
