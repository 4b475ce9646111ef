import assert from "node:assert/strict";
import { closeSync, readSync, writeSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { socketpair } from "../../../native/posix/index.ts";
import type { CaissonError } from "../../../protocol/errors.ts";
import { connectedAgent } from "../../../test/harness/agent/connected-agent.ts";
import { StreamPorts } from "../../vm/stream-ports.ts";
import { MovedOutput } from "./moved-output.ts";

type Answer = (bytes: bigint) => void;

/** An output that a guest has moved to the first of two ports. */
function moved(t: TestContext) {
  const answers: { stop: boolean; answer: Answer }[] = [];
  const agent = connectedAgent(t, {
    awaitOutput: ({ request: { stop } }, callback) => {
      answers.push({ stop, answer: (bytes) => callback(null, { bytes }) });
    },
  });
  const [[first, guest], [second, other]] = [socketpair(), socketpair()];
  const ports = StreamPorts.overSockets([first, second]);
  t.after(() => {
    ports.close();
    for (const fd of [guest, other]) closeSync(fd);
  });
  const port = ports.take("fromGuest");
  assert.ok(port);
  let text = "";
  const ended = Promise.withResolvers<CaissonError | undefined>();
  const data = (chunk: Buffer) => {
    text += chunk.toString();
  };
  const output = new MovedOutput({ agent, ports }, port, { data, end: ended.resolve, yielded: () => {} });
  const answer = async (stop: boolean, bytes: bigint): Promise<void> => {
    while (!answers.some((each) => each.stop === stop)) await delay(5);
    answers.find((each) => each.stop === stop)?.answer(bytes);
  };
  return { output, ports, guest, answer, ended: ended.promise, text: () => text };
}

test("MovedOutput ends when all has come that the guest tells of, and its port is free again", async (t) => {
  const { output, ports, guest, answer, ended, text } = moved(t);
  output.resume();
  writeSync(guest, "all ");
  await answer(false, 8n);
  await delay(20);
  writeSync(guest, "here");
  assert.equal(await ended, undefined);
  assert.equal(text(), "all here");
  assert.equal(ports.take("fromGuest")?.number, 1);
});

test("MovedOutput does not read while it is paused", async (t) => {
  const { output, guest, answer, ended, text } = moved(t);
  writeSync(guest, "later");
  await answer(false, 5n);
  await delay(50);
  assert.equal(text(), "");
  output.resume();
  await ended;
  assert.equal(text(), "later");
});

test("MovedOutput throws away what comes after cancel(), before its port is free again", async (t) => {
  const { output, ports, guest, answer, text } = moved(t);
  output.cancel();
  writeSync(guest, "dropped");
  await answer(true, 7n);
  for (let port = ports.take("fromGuest"); port?.number !== 1; port = ports.take("fromGuest")) {
    if (port !== undefined) ports.giveBack(port);
    await delay(5);
  }
  assert.equal(text(), "");
});

test("MovedOutput gives a port up on which the guest has sent more than it tells of, or which it has lost", async (t) => {
  const lying = moved(t);
  lying.output.resume();
  writeSync(lying.guest, "too much");
  while (lying.text() === "") await delay(5);
  await lying.answer(false, 3n);
  assert.match((await lying.ended)?.message ?? "", /it was 3 bytes, of which 8 have come/);
  assert.equal(lying.ports.take("fromGuest")?.number, 2);
  // The guest finds it hung up.
  assert.equal(readSync(lying.guest, Buffer.alloc(1)), 0);

  const lost = moved(t);
  lost.output.resume();
  lost.ports.close();
  assert.match((await lost.ended)?.message ?? "", /port is closed/);
});
