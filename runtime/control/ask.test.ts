import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import { ask, listens } from "./ask.ts";
import { MAX_LINE } from "./protocol.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-ask-"));
after(() => rmSync(folder, { recursive: true }));

/** A daemon that answers its first request with this: in a thread of its own, since asking stops ours. */
async function daemon(answer: string, times = 1): Promise<AsyncDisposable> {
  const program = `
    const { parentPort, workerData } = require("node:worker_threads");
    require("node:net").createServer((client) => {
      client.on("error", () => {});
      client.on("data", () => {
        for (let time = 0; time < workerData.times; time++) client.write(workerData.answer);
        client.end();
      });
    }).listen(workerData.path, () => parentPort.postMessage("listens"));`;
  const path = join(folder, "control.sock");
  rmSync(path, { force: true });
  const worker = new Worker(program, { eval: true, workerData: { path, answer, times } });
  await once(worker, "message");
  return { [Symbol.asyncDispose]: async () => void (await worker.terminate()) };
}

test("ask() returns a daemon's answer, in however many pieces it comes", async () => {
  const processes = Array.from({ length: 1000 }, (_, pid) => ({ pid, args: "é".repeat(20) }));
  await using _ = await daemon(`${JSON.stringify({ id: 1, result: { processes } })}\n`);
  assert.deepEqual(ask(folder, "ps", {}), { processes });
});

test("ask() throws what the daemon reports", async () => {
  await using _ = await daemon(`{"id":1,"error":{"code":"CAISSON_E_STATE","message":"it is paused"}}\n`);
  assert.throws(() => ask(folder, "kill", { signal: 9, all: false }), {
    code: "CAISSON_E_STATE",
    message: "it is paused",
  });
});

test("ask() tells a daemon that leaves, or says what is no answer", async () => {
  {
    await using _ = await daemon("half a line");
    assert.throws(() => ask(folder, "start", {}), { code: "CAISSON_E_VM_DIED", message: /ended before it answered/ });
  }
  {
    await using _ = await daemon("no JSON\n");
    assert.throws(() => ask(folder, "start", {}), { code: "CAISSON_E_INTERNAL", message: /not JSON/ });
  }
  await using _ = await daemon("x".repeat(2 ** 20), MAX_LINE / 2 ** 20 + 1);
  assert.throws(() => ask(folder, "start", {}), { code: "CAISSON_E_INTERNAL", message: /longer than/ });
});

test("ask() tells that nobody listens", async () => {
  rmSync(join(folder, "control.sock"), { force: true });
  assert.equal(listens(folder), false);
  assert.throws(() => ask(folder, "start", {}), { code: "CAISSON_E_VM_DIED", message: /no sandbox daemon answers/ });
  await using _ = await daemon("");
  assert.equal(listens(folder), true);
});
