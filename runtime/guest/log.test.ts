import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type AgentServer, CreateSandboxRequest } from "../../protocol/generated/agent.ts";
import { connectedAgent } from "../../test/harness/agent/connected-agent.ts";
import { log } from "../text/log.ts";
import { followGuestLog } from "./log.ts";

const RECORDS = 5000;
const LIMIT_BYTES = 300 * 1024;

test("followGuestLog: a guest that floods its log fills ours up to a limit, and the rest is counted", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-guest-log-"));
  const path = join(folder, "log");
  log.start({ log: path, logFormat: "text", debug: false });
  const ended = Promise.withResolvers<void>();
  const handlers: Partial<AgentServer> = {
    createSandbox: (call) => {
      let sent = 0;
      const value = { level: "warning", message: "x".repeat(1000), realtimeNs: 0n, dropped: 0n };
      call.write({ news: { $case: "created", value: { answeredNs: 1n } } });
      const write = () => {
        while (sent < RECORDS) {
          sent += 1;
          if (!call.write({ news: { $case: "log", value } })) return void call.once("drain", write);
        }
        call.end();
        ended.resolve();
      };
      write();
    },
  };
  const agent = connectedAgent(t, handlers);
  t.after(() => {
    log.stop();
    rmSync(folder, { recursive: true });
  });
  const sandbox = await agent.createSandbox(CreateSandboxRequest.decode(new Uint8Array()), AbortSignal.timeout(10_000));
  assert.equal(sandbox.answeredNs, 1n);
  followGuestLog(sandbox, join(folder, "guest.log"));
  await ended.promise;
  const text = () => readFileSync(path, "utf8");
  const told = () => {
    const dropped = [...text().matchAll(/guest: (\d+) log records of \d+ bytes were dropped/g)];
    return dropped.reduce((sum, [, count]) => sum + Number(count), text().split("guest: x").length - 1);
  };
  while (told() < RECORDS) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(told(), RECORDS);
  assert.ok(text().length < LIMIT_BYTES, `${text().length} bytes`);
});

test("Agent.createSandbox rejects with what the agent says, and when it says nothing of a sandbox", async (t) => {
  const request = CreateSandboxRequest.decode(new Uint8Array());
  const agentOf = (createSandbox: AgentServer["createSandbox"]) => connectedAgent(t, { createSandbox });
  const refuses = agentOf((call) => void call.emit("error", { code: 5, details: "none" }));
  const limit = AbortSignal.timeout(10_000);
  await assert.rejects(refuses.createSandbox(request, limit), /could not carry out createSandbox: none/);
  const ends = agentOf((call) => void call.end());
  await assert.rejects(ends.createSandbox(request, limit), /answer to createSandbox is malformed/);
  const other = agentOf((call) => void call.write({ news: undefined }));
  await assert.rejects(other.createSandbox(request, limit), /answer to createSandbox is malformed/);
  const silent = agentOf(() => {});
  const aborted = new AbortController();
  const made = silent.createSandbox(request, aborted.signal);
  setTimeout(() => aborted.abort(new Error("enough")), 50);
  await assert.rejects(made, /enough/);
});
