import assert from "node:assert/strict";
import { test } from "node:test";
import { realtime } from "../../native/posix/index.ts";
import type { Agent } from "./agent/client.ts";
import { ClockKeeping } from "./clock-sync.ts";

test("ClockKeeping slews what the guest's clock is off, and ends with the guest", async () => {
  const aheadNs = 30_000_000n;
  const { promise, resolve } = Promise.withResolvers<bigint>();
  let calls = 0;
  const call = async (_: string, { slewNs }: { slewNs: bigint }) => {
    if (slewNs !== 0n) resolve(slewNs);
    calls += 1;
    if (calls > 6) throw new Error("the connection has ended");
    const receivedNs = realtime() + aheadNs;
    return { receivedNs, answeredNs: receivedNs };
  };
  const keeping = new ClockKeeping({ call } as unknown as Agent);
  const running = keeping.run();
  const hold = setInterval(() => {}, 1000);
  const slewNs = await promise;
  clearInterval(hold);
  assert.ok(slewNs < -29_000_000n && slewNs > -31_000_000n, String(slewNs));
  await running;
});

test("ClockKeeping.end() ends it", async () => {
  const keeping = new ClockKeeping({ call: () => assert.fail() } as unknown as Agent);
  const running = keeping.run();
  keeping.end();
  await running;
});
