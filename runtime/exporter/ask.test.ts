import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import type { CaissonError } from "../../protocol/errors.ts";
import { serveControl } from "../control/server.ts";
import type { Measurement } from "../metrics/measurement.ts";
import { askToMeasure } from "./ask.ts";

const folder = mkdtempSync(join(tmpdir(), "ask-"));
after(() => rmSync(folder, { recursive: true }));

const MEASUREMENT: Measurement = {
  id: "c1",
  origin: "forked",
  vcpus: 1,
  memoryMib: 256,
  processes: [{ role: "shim", pid: 7 }],
  agentCalls: {},
};

/** A state directory whose daemon does this with whoever connects. */
async function daemon(t: TestContext, name: string, connected: (connection: Socket) => void): Promise<string> {
  const directory = join(folder, name);
  mkdirSync(directory);
  const connections = new Set<Socket>();
  const server: Server = createServer((connection) => {
    connections.add(connection);
    connection.on("error", () => {});
    connected(connection);
  });
  await new Promise<void>((resolve) => server.listen(join(directory, "control.sock"), resolve));
  t.after(() => {
    for (const connection of connections) connection.destroy();
    server.close();
  });
  return directory;
}

const code = (expected: string) => (error: CaissonError) => error.code === expected;

test("askToMeasure brings what a daemon says", async (t) => {
  const directory = await daemon(t, "well", (connection) =>
    serveControl(connection, () => ({ measure: async () => MEASUREMENT })),
  );
  assert.deepEqual(await askToMeasure(directory), MEASUREMENT);
});

test("askToMeasure waits for a daemon no longer than its limit", async (t) => {
  const directory = await daemon(t, "hangs", () => {});
  const start = performance.now();
  await assert.rejects(askToMeasure(directory, 100), code("CAISSON_E_TIMEOUT"));
  assert.ok(performance.now() - start < 2000);
});

test("askToMeasure tells a daemon that is gone, or is of a version that does not know how", async (t) => {
  await assert.rejects(askToMeasure(join(folder, "hangs"), 1000), code("CAISSON_E_VM_DIED"));
  const ends = await daemon(t, "ends", (connection) => connection.destroy());
  await assert.rejects(askToMeasure(ends, 1000), code("CAISSON_E_VM_DIED"));
  const former = await daemon(t, "former", (connection) => serveControl(connection, () => ({})));
  await assert.rejects(askToMeasure(former, 1000), code("CAISSON_E_INTERNAL"));
});
