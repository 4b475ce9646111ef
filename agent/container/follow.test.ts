import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ProcessNews } from "../../protocol/generated/agent.ts";
import { AgentProcess } from "../../test/harness/agent/agent-process.ts";
import { configOf, makeRootfs, processOf } from "../../test/harness/agent/bundle.ts";

let agent: AgentProcess;
before(async () => {
  agent = await AgentProcess.start();
});
after(() => agent.stop());

test("what a process has written is told no later than its end, however many there are", async () => {
  const containerId = "crowd";
  const configJson = configOf(makeRootfs(agent.folder), ["sleep", "1000"]);
  const unused = { rows: 0, columns: 0, noStdin: true, keepNewlines: false };
  const none = {
    seccomp: undefined,
    bundle: "",
    sharedMemoryBytes: 0n,
    disks: [],
    diskMounts: [],
    passedDevices: [],
    start: undefined,
  };
  await agent.create({ containerId, configJson, ...unused, ...none });
  await agent.call("startContainer", { containerId, sentNs: 0n, aheadLeastNs: 0n, aheadMostNs: 0n });
  const late = await Promise.all(
    Array.from({ length: 100 }, async (_, at) => {
      const processJson = Buffer.from(JSON.stringify(processOf(["sh", "-c", `echo ${at}`])));
      const process = { containerId, execId: `e${at}` };
      const told: ProcessNews[] = [];
      const request = { process, processJson, cgroup: "", stdoutBytes: 100, stderrBytes: 100, ...unused };
      for await (const news of agent.client.execProcess(request)) told.push(news);
      const end = told.findIndex(({ exit }) => exit !== undefined);
      const written = told.findIndex(({ stdout }) => (stdout?.data.length ?? 0) > 0);
      assert.ok(end >= 0 && written >= 0);
      return written > end;
    }),
  );
  assert.equal(late.filter((each) => each).length, 0);
  await agent.call("deleteContainer", { containerId, force: true });
});
