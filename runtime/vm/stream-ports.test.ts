import assert from "node:assert/strict";
import { closeSync, readSync, writeSync } from "node:fs";
import { test } from "node:test";
import { socketpair } from "../../native/posix/index.ts";
import { type StreamPort, StreamPorts } from "./stream-ports.ts";

function make() {
  const pairs = [socketpair(), socketpair()];
  return { ports: StreamPorts.overSockets(pairs.map(([host]) => host)), guests: pairs.map(([, guest]) => guest) };
}

test("StreamPorts gives each port to one stream each way", () => {
  const { ports, guests } = make();
  const [first, second, none] = [1, 2, 3].map(() => ports.take("fromGuest")) as [StreamPort, StreamPort, undefined];
  assert.deepEqual([first.number, second.number, none], [1, 2, undefined]);
  assert.equal(ports.take("toGuest")?.stream, first.stream);
  ports.giveBack(second);
  assert.equal(ports.take("fromGuest")?.stream, second.stream);
  ports.close();
  for (const fd of guests) {
    assert.equal(readSync(fd, Buffer.alloc(1)), 0);
    closeSync(fd);
  }
});

test("StreamPorts reads nothing of a port before somebody wants it", async () => {
  const { ports, guests } = make();
  const port = ports.take("fromGuest") as StreamPort;
  writeSync(guests[0] as number, "x");
  port.stream.on("data", () => assert.fail("it reads"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  ports.close();
  for (const fd of guests) closeSync(fd);
});

test("StreamPorts gives out no port that was dropped, or closed under it", async () => {
  const { ports, guests } = make();
  ports.drop(ports.take("toGuest") as StreamPort);
  const last = ports.take("toGuest") as StreamPort;
  assert.equal(last.number, 2);
  ports.giveBack(last);
  closeSync(guests[1] as number);
  last.stream.resume();
  last.stream.end();
  await new Promise((resolve) => last.stream.once("close", resolve));
  assert.equal(ports.take("toGuest"), undefined);
  ports.close();
  ports.close();
  closeSync(guests[0] as number);
});
