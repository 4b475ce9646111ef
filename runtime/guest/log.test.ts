import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { AgentServer } from "../../protocol/generated/agent.ts";
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
    watchLog: (call) => {
      let sent = 0;
      const record = { level: "warning", message: "x".repeat(1000), realtimeNs: 0n, dropped: 0n };
      const write = () => {
        while (sent < RECORDS) {
          sent += 1;
          if (!call.write(record)) return void call.once("drain", write);
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
  followGuestLog(agent, join(folder, "guest.log"));
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
