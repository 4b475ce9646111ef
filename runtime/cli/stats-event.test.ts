import assert from "node:assert/strict";
import { test } from "node:test";
import { stringifyJson } from "../../protocol/json.ts";
import { oomKills, statsData, type WireStats } from "./stats-event.ts";

const UNLIMITED = "18446744073709551615";
const psi = { avg10: 0.5, avg60: 0, avg300: 0, total: "7" };
const stats: WireStats = {
  cpu: {
    usageUsec: "3000",
    userUsec: "2000",
    systemUsec: "1000",
    nrPeriods: "4",
    nrThrottled: "1",
    throttledUsec: "9",
    pressure: { some: psi, full: psi },
  },
  memory: {
    usage: "745472",
    limit: UNLIMITED,
    peak: "2772992",
    swapUsage: "0",
    swapLimit: UNLIMITED,
    stat: { file: "4096", anon: "53248" },
    events: { max: "2", oom_kill: "1" },
    pressure: undefined,
  },
  pids: { current: "1", limit: UNLIMITED },
  io: [{ major: "8", minor: "0", rbytes: "512", wbytes: "0", rios: "1", wios: "0", dbytes: "0", dios: "0" }],
  hugetlb: [{ pageSize: "2MB", current: "0", limit: UNLIMITED, failures: "0" }],
};

test("statsData has runc's shape and units, 64-bit numbers exact", () => {
  const text = stringifyJson(statsData(stats));
  assert.match(text, /"usage":\{"total":3000000,"kernel":1000000,"user":2000000\}/);
  assert.match(text, /"throttling":\{"periods":4,"throttledPeriods":1,"throttledTime":9000\}/);
  assert.match(text, /"usage":\{"limit":18446744073709551615,"usage":745472,"max":2772992,"failcnt":2\}/);
  assert.match(text, /"raw":\{"file":4096,"anon":53248\}/);
  assert.match(text, /"pids":\{"current":1,"limit":18446744073709551615\}/);
  assert.match(text, /\{"major":8,"minor":0,"op":"Read","value":512\}/);
  assert.match(text, /"hugetlb":\{"2MB":\{"usage":0,"failcnt":0\}\}/);
  assert.match(text, /"psi":\{"some":\{"avg10":0.5,"avg60":0,"avg300":0,"total":7\}/);
});

test("statsData takes readings of a guest without these controllers", () => {
  const none = { cpu: undefined, memory: undefined, pids: undefined, io: [], hugetlb: [] };
  assert.match(stringifyJson(statsData(none)), /"pids":\{"current":0,"limit":0\}/);
  assert.equal(oomKills(none), 0n);
});

test("oomKills counts the kernel's kills", () => assert.equal(oomKills(stats), 1n));
