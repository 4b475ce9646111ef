import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHostProcess, readHostProcess } from "./host-process.ts";

test("parseHostProcess reads past a name that holds parentheses", () => {
  const fields = Array.from({ length: 50 }, (_, index) => String(index + 3));
  const stat = `7 (a) b (c) ${fields.join(" ")}\n`;
  const status = "Name: x\nVmRSS:\t    2048 kB\n";
  const smaps = "00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss: 9 kB\nPss:                 5 kB\nPss_Anon: 1 kB\n";
  assert.deepEqual(parseHostProcess(stat, status, smaps, 4), {
    cpuSeconds: (14 + 15) / 100,
    residentBytes: 2048 * 1024,
    proportionalBytes: 5 * 1024,
    threads: 20,
    fds: 4,
  });
});

test("readHostProcess reads this process, and nothing of one that is gone", async () => {
  const own = await readHostProcess(process.pid);
  assert.ok(own !== undefined && own.residentBytes > 1e6 && own.threads > 1 && own.fds > 2);
  assert.equal(await readHostProcess(2 ** 22 + 1), undefined);
});
