import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
const bundle = new Bundle(["sh", "-c", "sleep 1000 & sleep 1001 & wait"]);
let id: string;

before(async () => {
  id = await host.start(bundle);
  await until(async () => (await host.pids(id)).length === 3);
});
after(async () => {
  bundle[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

test("ps lists the container's processes and no others, as ps -ef", async () => {
  const [header, ...lines] = (await host.ok(["ps", id])).trimEnd().split("\n");
  assert.equal(header, "UID        PID  PPID  C STIME TTY          TIME CMD");
  assert.deepEqual(
    lines.map((line) => line.replace(/^root +\d+ +\d+ +\d+ \S+ \S+ +\d\d:\d\d:\d\d /, "")),
    ["sh -c sleep 1000 & sleep 1001 & wait", "sleep 1000", "sleep 1001"],
  );
});

test("ps --format json lists what the host sees of them: the OCI pid", async () => {
  const { pid } = JSON.parse(await host.ok(["state", id]));
  assert.deepEqual(JSON.parse(await host.ok(["ps", "--format", "json", id])), [pid]);
});

test("ps takes ps's own -o", async () => {
  const [first] = await host.pids(id);
  const lines = (await host.ok(["ps", id, "-o", "ppid,args"])).split("\n");
  assert.equal(lines[0], " PPID COMMAND");
  assert.equal(lines[2], `${String(first).padStart(5)} sleep 1000`);
});

test("ps names an option it does not have", async () => {
  const result = await host.run(["ps", id, "-el"]);
  assert.equal(result.exitCode, 1);
  assert.match(errorOf(result), /ps: the option "-el" is not supported/);
});
