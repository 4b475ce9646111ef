import assert from "node:assert/strict";
import { test } from "node:test";
import { ListProcessesResponse, ProcessExit, StatsResponse } from "../../../protocol/generated/agent.ts";
import { answerProblem } from "./answers.ts";

const PROCESS = {
  pid: 7,
  parentPid: 1,
  uid: 0,
  cpuNs: 0n,
  startedAtNs: 1n,
  tty: "pts/0",
  command: "",
  stat: "Ss",
  memoryPermille: 0,
};
const list = (...changes: Partial<typeof PROCESS>[]) => ({
  processes: changes.map((change) => ({ ...PROCESS, ...change })),
});

test("answerProblem takes what agent.proto promises", () => {
  assert.equal(answerProblem("listProcesses", list({}, { pid: 8, tty: "?" })), undefined);
  assert.equal(answerProblem("listProcesses", { processes: [] }), undefined);
  assert.equal(
    answerProblem("processNews", { exit: { exitCode: 192, signal: 64, exitedAtNs: 0n, oomKilled: false } }),
    undefined,
  );
  assert.equal(answerProblem("stats", StatsResponse.decode(new Uint8Array())), undefined);
  assert.equal(answerProblem("startContainer", { receivedNs: 0n, answeredNs: 0n }), undefined);
});

test("answerProblem names what cannot be", () => {
  const cases: [string, unknown, string][] = [
    ["listProcesses", list({}, { pid: 0 }), "processes[1].pid is 0"],
    ["listProcesses", list({ pid: 2 ** 22 + 1 }), "processes[0].pid is 4194305"],
    ["listProcesses", list({}, {}), "processes[1].pid is 7 for the second time"],
    ["listProcesses", list({ parentPid: 2 ** 31 }), "processes[0].parent_pid is 2147483648"],
    ["listProcesses", list({ startedAtNs: 0n }), "processes[0].started_at_ns is 0"],
    ["listProcesses", list({ tty: "\u001b[2J" }), "processes[0].tty is no terminal's name"],
    ["listProcesses", list({ stat: "" }), "processes[0].stat is no state of a process"],
    ["listProcesses", list({ memoryPermille: 1001 }), "processes[0].memory_permille is 1001"],
    ["processNews", { exit: ProcessExit.decode(Buffer.from([8, 0xac, 2])) }, "exit.exit_code is 300"],
    ["createContainer", { pid: 0, created: { receivedNs: 1n, answeredNs: 1n } }, "pid is 0"],
    ["createContainer", { pid: 2 }, "created is missing"],
    ["createContainer", { pid: 2, created: { receivedNs: 3n, answeredNs: 2n } }, "created.received_ns is 3"],
    ["execProcess", { pid: 2 ** 32 - 1 }, "pid is 4294967295"],
    ["check", { networkDevices: [{ index: 2, mac: new Uint8Array(5) }] }, "network_devices[0].mac has 5 bytes"],
    ["stats", { memory: { stat: { "a\n": 1n }, events: {} }, hugetlb: [] }, "memory.stat[0].name is none"],
    [
      "stats",
      { cpu: { pressure: { some: { avg10: Number.NaN, avg60: 0, avg300: 0, total: 0n } } }, hugetlb: [] },
      "cpu.pressure has an average that is no percentage",
    ],
  ];
  for (const [call, answer, problem] of cases) assert.equal(answerProblem(call, answer), problem);
});

test("answerProblem refuses what protobuf makes of an empty row", () => {
  // Field 1, length 0: one process of which nothing is said.
  const answer = ListProcessesResponse.decode(Buffer.from([0x0a, 0x00]));
  assert.equal(answer.processes.length, 1);
  assert.match(answerProblem("listProcesses", answer) ?? "", /^processes\[0\]\./);
});
