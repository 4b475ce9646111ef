import assert from "node:assert/strict";
import { test } from "node:test";
import { oomKills } from "./events.ts";

const events = (oom: number, kills: number) =>
  `low 0\nhigh 0\nmax 7\noom ${oom}\noom_kill ${kills}\noom_group_kill 0\n`;

test("oomKills tells a cgroup's own limit from the guest's memory", () => {
  assert.deepEqual(oomKills(events(0, 0)), { count: 0, ofGuest: false });
  assert.deepEqual(oomKills(events(2, 1)), { count: 1, ofGuest: false });
  assert.deepEqual(oomKills(events(0, 3)), { count: 3, ofGuest: true });
});

test("oomKills counts none in a cgroup without the memory controller", () => {
  assert.deepEqual(oomKills(undefined), { count: 0, ofGuest: false });
});
