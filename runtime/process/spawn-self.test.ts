import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { constants, setns, unshare } from "../../native/posix/index.ts";
import { spawnSelf } from "./spawn-self.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-spawn-self-"));
const own = process.argv[1];
after(() => {
  process.argv[1] = own ?? "";
  rmSync(folder, { recursive: true });
});

/** Has this program be another one. */
function become(program: string): void {
  const path = join(folder, "program.cjs");
  writeFileSync(path, program);
  process.argv[1] = path;
}

test("spawnSelf() starts the program in a role, in its own session and in /, with our environment, and tells how it ended", async () => {
  become(`
    const { readFileSync, readdirSync, writeSync } = require("node:fs");
    const session = Number(readFileSync("/proc/self/stat", "latin1").split(") ")[1].split(" ")[3]);
    const facts = [process.argv.slice(2), process.cwd(), process.env.OF_THE_CALLER, session === process.pid];
    writeSync(3, JSON.stringify(facts));
    process.exit(7);`);
  process.env["OF_THE_CALLER"] = "a=b c";
  const before = readdirSync("/proc/self/fd").length;
  const child = spawnSelf("export-trace", { a: 1 }, "ignore");
  assert.deepEqual(JSON.parse(await text(child.connection)), [["export-trace", '{"a":1}'], "/", "a=b c", true]);
  assert.deepEqual(await child.ended, { exitCode: 7 });
  child.kill();
  assert.equal(readdirSync("/proc/self/fd").length, before);
});

test("spawnSelf()'s process can be killed, which is told, and only then", async () => {
  become("setInterval(() => {}, 1000);");
  const child = spawnSelf("export-trace", {}, "ignore");
  const early = await Promise.race([child.ended, new Promise((resolve) => setTimeout(resolve, 100, "runs"))]);
  assert.equal(early, "runs");
  child.kill();
  assert.deepEqual(await child.ended, { signal: 9 });
});

test("spawnSelf()'s process is started in another place, and this one stays where it is", async () => {
  become(`
    const { readlinkSync, writeSync } = require("node:fs");
    writeSync(3, JSON.stringify([readlinkSync("/proc/self/ns/uts"), readlinkSync("/proc/self/root")]));`);
  const own = "/proc/thread-self/ns/uts";
  const here = readlinkSync(own);
  const former = openSync(own, "r");
  unshare(constants.CLONE_NEWUTS);
  const made = openSync(own, "r");
  setns(former, constants.CLONE_NEWUTS);
  const root = openSync("/", "r");
  try {
    const child = spawnSelf("export-trace", {}, "ignore", { namespaces: [made], root });
    const there = readlinkSync(`/proc/self/fd/${made}`);
    assert.deepEqual(JSON.parse(await text(child.connection)), [there, "/"]);
    assert.notEqual(there, here);
    assert.equal(readlinkSync(own), here);
  } finally {
    for (const fd of [former, made, root]) closeSync(fd);
  }
});

test("spawnSelf() tells that its place cannot be entered", () => {
  const notANamespace = openSync("/dev/null", "r");
  try {
    assert.throws(() => spawnSelf("export-trace", {}, "ignore", { namespaces: [notANamespace] }), {
      code: "CAISSON_E_HOST",
    });
  } finally {
    closeSync(notANamespace);
  }
});
