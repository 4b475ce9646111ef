import assert from "node:assert/strict";
import { test } from "node:test";
import { Broadcast } from "./broadcast.ts";

interface Numbered {
  number: number;
  dropped: number;
}

/** A sink that takes `room` records and then waits for drain(). */
function slowSink(room: number) {
  const taken: Numbered[] = [];
  let waiting: (() => void) | undefined;
  let left = room;
  return {
    taken,
    write(record: Numbered): boolean {
      taken.push(record);
      left -= 1;
      return left > 0;
    },
    once(_event: "drain", listener: () => void): void {
      waiting = listener;
    },
    drain(more: number): void {
      left = more;
      waiting?.();
    },
  };
}

const subscribe = (broadcast: Broadcast<Numbered>, sink: ReturnType<typeof slowSink>): (() => void) =>
  broadcast.subscribe(sink, (record, dropped) => ({ ...record, dropped }));

test("Broadcast.publish reaches every subscriber until it leaves", () => {
  const broadcast = new Broadcast<Numbered>();
  const sinks = [slowSink(10), slowSink(10)] as const;
  const leave = subscribe(broadcast, sinks[0]);
  subscribe(broadcast, sinks[1]);
  broadcast.publish({ number: 1, dropped: 0 });
  leave();
  broadcast.publish({ number: 2, dropped: 0 });
  assert.deepEqual(
    sinks.map((sink) => sink.taken.map(({ number }) => number)),
    [[1], [1, 2]],
  );
});

test("Broadcast.publish keeps a bounded queue for a slow subscriber and counts what it drops", () => {
  const broadcast = new Broadcast<Numbered>();
  const sink = slowSink(1);
  subscribe(broadcast, sink);
  for (let number = 0; number < 2000; number += 1) broadcast.publish({ number, dropped: 0 });
  assert.deepEqual(sink.taken, [{ number: 0, dropped: 0 }]);
  sink.drain(10_000);
  assert.equal(sink.taken.length, 1025);
  broadcast.publish({ number: 2000, dropped: 0 });
  assert.deepEqual(sink.taken.at(-1), { number: 2000, dropped: 975 });
  assert.ok(sink.taken.slice(0, -1).every(({ number, dropped }, index) => number === index && dropped === 0));
});
