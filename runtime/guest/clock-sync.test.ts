import assert from "node:assert/strict";
import { test } from "node:test";
import { realtime } from "../../native/posix/index.ts";
import type { Agent } from "./agent/client.ts";
import { ClockSync } from "./clock-sync.ts";

test("ClockSync slews what the guest's clock is off, and ends with the guest", async () => {
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
  const sync = new ClockSync({ call } as unknown as Agent);
  const running = sync.run();
  const hold = setInterval(() => {}, 1000);
  const slewNs = await promise;
  clearInterval(hold);
  assert.ok(slewNs < -29_000_000n && slewNs > -31_000_000n, String(slewNs));
  await running;
});

test("ClockSync.end() ends it", async () => {
  const sync = new ClockSync({ call: () => assert.fail() } as unknown as Agent);
  const running = sync.run();
  sync.end();
  await running;
});
