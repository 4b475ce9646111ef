import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CaissonError } from "../../protocol/errors.ts";
import { connectControl } from "./client.ts";
import { ControlListener } from "./listener.ts";

const LOGS = { console: "/c", agent: "/a" };
const join_ = async () => {};

/** A directory with a listener's socket. */
async function listening(context: TestContext, listener: ControlListener): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "caisson-control-"));
  context.after(async () => {
    await listener.close();
    rmSync(directory, { recursive: true });
  });
  await listener.listen(join(directory, "control.sock"));
  return directory;
}

test("ControlListener answers a verb with its handler's result, `{}` for none, and with its error", async (context) => {
  const kill = async () => {
    throw new CaissonError("CAISSON_E_STATE", "container not running");
  };
  const handlers = { join: join_, logFiles: async () => LOGS, start: async () => {}, kill };
  using client = await connectControl(await listening(context, new ControlListener(() => handlers)));
  assert.deepEqual(await client.request("logFiles", {}), LOGS);
  assert.deepEqual(await client.request("start", {}), {});
  await assert.rejects(client.request("kill", { signal: 9, all: false }), {
    code: "CAISSON_E_STATE",
    message: "container not running",
  });
});

test("ControlListener hands on what it has no handler for, or refuses it", async (context) => {
  const there = new ControlListener(() => ({ join: join_, logFiles: async () => LOGS }));
  using elsewhere = await connectControl(await listening(context, there));
  const here = new ControlListener(
    () => ({ join: join_ }),
    () => elsewhere,
  );
  using client = await connectControl(await listening(context, here));
  assert.deepEqual(await client.request("logFiles", {}), LOGS);
  await assert.rejects(client.request("pause", {}), { code: "CAISSON_E_INTERNAL", message: /no verb "pause"/ });
});

test("connectControl says so when no daemon listens", async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "caisson-control-"));
  context.after(() => rmSync(directory, { recursive: true }));
  await assert.rejects(connectControl(directory), { code: "CAISSON_E_VM_DIED" });
});
