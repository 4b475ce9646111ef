import assert from "node:assert/strict";
import { test } from "node:test";
import { processTable } from "./ps-table.ts";

const now = new Date(2026, 10, 22, 12, 0, 0).getTime();
const init = {
  pid: 231,
  parentPid: 1,
  uid: 0,
  tty: "?",
  cpuNs: "3723000000000",
  startedAt: new Date(2026, 10, 22, 3, 8).getTime(),
  command: "sleep 300",
  stat: "Ss",
  virtualKib: 2268,
  residentKib: 1376,
  memoryPermille: 12,
};
const child = {
  pid: 12345,
  parentPid: 231,
  uid: 1000,
  tty: "pts/0",
  cpuNs: "10000000",
  startedAt: now - 3 * 86_400_000,
  command: "/usr/bin/long-program-name --flag",
  stat: "Sl+",
  virtualKib: 1_234_567,
  residentKib: 9,
  memoryPermille: 0,
};

test("processTable prints ps -ef's columns by default", () => {
  assert.equal(
    processTable([])([init, child], now),
    "UID        PID  PPID  C STIME TTY          TIME CMD\n" +
      "root       231     1 11 03:08 ?        01:02:03 sleep 300\n" +
      "1000     12345   231  0 Nov19 pts/0    00:00:00 /usr/bin/long-program-name --flag\n",
  );
});

test("processTable prints the header alone for no processes", () => {
  assert.equal(processTable(["-ef"])([], now), "UID        PID  PPID  C STIME TTY          TIME CMD\n");
});

for (const options of [
  ["-o", "pid,comm"],
  ["-opid,comm"],
  ["-o", "pid", "-o", "comm"],
  ["-eo", "pid comm"],
  ["o", "pid,comm"],
]) {
  test(`processTable takes columns from ${options.join(" ")}`, () => {
    assert.equal(processTable(options)([init, child], now), "  PID COMMAND\n  231 sleep\n12345 long-program-na\n");
  });
}

test("processTable takes a header of one's own and ps's other names", () => {
  assert.equal(processTable(["-o", "cmd=WHAT,%cpu,etime"])([child], now).split("\n")[0], "WHAT %CPU     ELAPSED");
  assert.equal(processTable(["-o", "etime"])([child], now), "    ELAPSED\n 3-00:00:00\n");
});

for (const options of [["-e", "-x"], ["ax"], ["-x"], ["x"]]) {
  test(`processTable prints the columns of BSD's ps for ${options.join(" ")}`, () => {
    assert.equal(
      processTable(options)([init, child], now),
      "  PID TTY      STAT   TIME COMMAND\n" +
        "  231 ?        Ss    62:03 sleep 300\n" +
        "12345 pts/0    Sl+    0:00 /usr/bin/long-program-name --flag\n",
    );
  });
}

test("processTable prints the users of BSD's ps for aux", () => {
  assert.equal(
    processTable(["aux"])([init], now),
    "USER       PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n" +
      "root       231 11.0  1.2   2268  1376 ?        Ss   03:08  62:03 sleep 300\n",
  );
});

test("processTable names the column or option it does not have", () => {
  assert.throws(() => processTable(["-o", "pidd"]), { code: "CAISSON_E_USAGE", message: /"pidd"/, remedy: /"pid"/ });
  assert.throws(() => processTable(["-o", "constructor"]), { code: "CAISSON_E_USAGE" });
  assert.throws(() => processTable(["-el"]), { code: "CAISSON_E_USAGE", message: /"-el"/ });
  assert.throws(() => processTable(["-o"]), { code: "CAISSON_E_USAGE" });
});
