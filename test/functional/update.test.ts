import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host } from "../harness/host.ts";

const host = new Host();
const bundle = new Bundle();
const folder = mkdtempSync(join(tmpdir(), "caisson-update-"));
let id: string;

before(async () => {
  id = await host.start(bundle);
});
after(async () => {
  bundle[Symbol.dispose]();
  rmSync(folder, { recursive: true });
  await host[Symbol.asyncDispose]();
});

async function setting(name: string): Promise<string> {
  return (await host.ok(["exec", id, "cat", `/sys/fs/cgroup/${name}`])).trim();
}

test("update changes what the flags name, in the guest's cgroup", async () => {
  await host.ok([
    "update",
    "--memory",
    "64m",
    "--pids-limit",
    "50",
    "--cpu-quota",
    "20000",
    "--cpu-period",
    "50000",
    id,
  ]);
  assert.equal(await setting("memory.max"), String(64 * 2 ** 20));
  assert.equal(await setting("pids.max"), "50");
  assert.equal(await setting("cpu.max"), "20000 50000");
  await host.ok(["update", "--pids-limit", "60", id]);
  assert.equal(await setting("pids.max"), "60");
  assert.equal(await setting("memory.max"), String(64 * 2 ** 20));
  await host.ok(["update", "--memory", "-1", id]);
  assert.equal(await setting("memory.max"), "max");
});

test("update --resources takes a file or stdin", async () => {
  const path = join(folder, "resources.json");
  writeFileSync(path, JSON.stringify({ pids: { limit: 70 } }));
  await host.ok(["update", "--resources", path, id]);
  assert.equal(await setting("pids.max"), "70");
  await host.ok(["update", "-r", "-", id], { input: '{"pids":{"limit":80}}' });
  assert.equal(await setting("pids.max"), "80");
});

for (const [args, input, message] of [
  [["--memory", "lots"], "", /invalid value for memory: "lots" is not a size/],
  [["--cpu-quota", "x"], "", /invalid value for cpu-quota/],
  [["--cpu-share", "1"], "", /cpu\.shares: must be from 2 to 262144/],
  [["--cpu-rt-period", "5"], "", /realtimePeriod: it exists only in cgroup v1/],
  [["--l3-cache-schema", "x"], "", /--l3-cache-schema is not supported/],
  [["--resources", "/none"], "", /cannot read \/none/],
  [["--resources", "-", "--memory", "1g"], "{}", /--resources and --memory cannot both say what to change/],
  [["--resources", "-"], "{", /standard input, line 1, column 2: not valid JSON/],
  [["--resources", "-"], '{"pids":{"limit":"many"}}', /pids\.limit: must be/],
] as const) {
  test(`update ${args.join(" ")} ${input} is refused`, async () => {
    const result = await host.run(["update", ...args, id], { input });
    assert.equal(result.exitCode, 1);
    assert.match(errorOf(result), message);
  });
}
