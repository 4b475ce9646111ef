import assert from "node:assert/strict";
import { performServerHandshake } from "node:http2";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { CaissonError } from "../../../protocol/errors.ts";
import { AgentService, CheckResponse } from "../../../protocol/generated/agent.ts";
import { connectedAgent } from "../../../test/harness/agent/connected-agent.ts";
import { Agent } from "./client.ts";
import { encodeFrame } from "./frames.ts";

test("Agent.call returns the agent's answer", async (t) => {
  const devices = [{ index: 2, mac: Buffer.from("02ca15000000", "hex") }];
  const answer = {
    protocolMajor: 1,
    protocolMinor: 2,
    agentVersion: "x",
    kernelRelease: "6.1",
    networkDevices: devices,
  };
  const agent = connectedAgent(t, {
    check: (_call, callback) => callback(null, answer),
  });
  assert.deepEqual(await agent.call("check", {}), answer);
});

test("Agent.call turns the agent's code and field into a CaissonError, without control characters", async (t) => {
  const metadata = new Metadata();
  metadata.set("caisson-code", "CAISSON_E_CONFIG_UNSUPPORTED");
  metadata.set("caisson-field", "mounts[3]");
  const agent = connectedAgent(t, {
    check: (_call, callback) =>
      callback({ code: status.INVALID_ARGUMENT, details: "mounts[3]: no \u001b[31mé", metadata }),
  });
  await assert.rejects(agent.call("check", {}), (error: CaissonError) => {
    assert.equal(error.code, "CAISSON_E_CONFIG_UNSUPPORTED");
    assert.equal(error.field, "mounts[3]");
    assert.equal(error.message, "mounts[3]: no  [31mé");
    return true;
  });
});

test("Agent.call ends with CAISSON_E_TIMEOUT at its limit and with the signal's reason when aborted", async (t) => {
  const agent = connectedAgent(t, { check: () => {} });
  await assert.rejects(agent.call("check", {}, { timeoutMs: 20 }), { code: "CAISSON_E_TIMEOUT" });
  const reason = new CaissonError("CAISSON_E_VM_DIED", "gone");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 10);
  await assert.rejects(agent.call("check", {}, { signal: controller.signal }), reason);
});

test("Agent.call has no limit where gRPC cannot express it", async (t) => {
  const agent = connectedAgent(t, { deleteContainer: (_call, callback) => setTimeout(() => callback(null, {}), 20) });
  await agent.call("deleteContainer", { containerId: "c", force: false }, { timeoutMs: 3_000_000_000 });
});

test("Agent.call fails when the connection ends under it and after", async (t) => {
  const agent = connectedAgent(t, { check: () => {} });
  const pending = assert.rejects(agent.call("check", {}), { code: "CAISSON_E_AGENT" });
  await new Promise((resolve) => setTimeout(resolve, 10));
  agent.close();
  await pending;
  await agent.closed;
  await assert.rejects(agent.call("check", {}), { code: "CAISSON_E_AGENT" });
});

test("Agent.readOutput stops the writer while nobody reads", async (t) => {
  let written = 0;
  const chunk = Buffer.alloc(64 * 1024);
  const agent = connectedAgent(t, {
    readOutput: (call) => {
      const write = () => {
        while (written < 64 * 1024 * 1024) {
          written += chunk.length;
          if (!call.write({ data: chunk })) return void call.once("drain", write);
        }
        call.end();
      };
      write();
    },
  });
  const stream = agent.readOutput({ containerId: "c", execId: "" }, "stdout");
  await new Promise((resolve) => stream.once("readable", resolve));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(written < 8 * 1024 * 1024, `the writer ran ahead by ${written} bytes`);
  let read = 0;
  for await (const message of stream) read += (message as { data: Buffer }).data.length;
  assert.equal(read, 64 * 1024 * 1024);
});

test("Agent.writeStdin settles when the agent has taken everything", async (t) => {
  const got: Buffer[] = [];
  const agent = connectedAgent(t, {
    writeStdin: (call, callback) => {
      call.on("data", ({ data }) => got.push(data));
      call.on("end", () => callback(null, {}));
    },
  });
  const { stream, done } = agent.writeStdin();
  const rest = { port: 0, portBytes: 0n };
  stream.write({ ...rest, process: { containerId: "c", execId: "" }, data: Buffer.from("one ") });
  stream.end({ ...rest, data: Buffer.from("two"), process: undefined });
  await done;
  assert.equal(Buffer.concat(got).toString(), "one two");
});

test("Agent.call takes an answer for one whose status is still to come, and none from a call of which only that comes", async (t) => {
  const [hostSide, guestSide] = duplexPair();
  const answer = encodeFrame(CheckResponse.encode(CheckResponse.decode(new Uint8Array())).finish());
  performServerHandshake(guestSide).on("stream", (stream, headers) => {
    assert.equal(headers["grpc-timeout"], undefined);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    if (headers[":path"] === AgentService.check.path) stream.write(answer);
    else stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" })).end();
  });
  const agent = new Agent(hostSide);
  t.after(() => agent.close());
  const { protocolMajor } = await agent.call("check", {}, { timeoutMs: 10_000 });
  assert.equal(protocolMajor, 0);
  await assert.rejects(agent.call("guestStats", {}, { timeoutMs: 10_000 }), { code: "CAISSON_E_AGENT" });
});
