import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { builtFile } from "../addon.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-shim-start-"));
const script = join(folder, "program.cjs");
const bundle = join(folder, "container");
mkdirSync(bundle);
after(() => rmSync(folder, { recursive: true }));

const WORDS = ["-namespace", "n", "-address", "/a b", "-id", "container", "start"];

/** Runs it with a script in the daemon's place. */
function start(daemon: string, env: NodeJS.ProcessEnv = {}) {
  writeFileSync(
    script,
    `const fs = require("node:fs");
    const [word, ...rest] = process.argv.slice(2);
    if (word !== "shim-daemon") console.log(JSON.stringify([word, ...rest])), process.exit(3);
    const input = () => fs.readFileSync(0, "utf8");
    const answer = (text) => fs.writeSync(3, text);
    ${daemon}`,
  );
  const args = [process.execPath, script, "the-shim", ...WORDS];
  const { stdout, stderr, status } = spawnSync(builtFile("shim-start"), args, {
    ...{ cwd: bundle, input: "options", encoding: "utf8", timeout: 10_000 },
    env: { ...process.env, MAX_SHIM_VERSION: undefined, ...env },
  });
  return { stdout, stderr, status };
}

test("shim-start prints what the daemon answers, which has the words, the input and the working directory, and lives on", async () => {
  const { stdout, ...rest } = start(`
    const session = Number(fs.readFileSync("/proc/self/stat", "latin1").split(") ")[1].split(" ")[3]);
    const facts = { rest, input: input(), cwd: process.cwd(), isLeader: session === process.pid, flags: process.execArgv };
    answer("a" + JSON.stringify(facts));
    fs.closeSync(3);
    setTimeout(() => fs.writeFileSync("lived-on", ""), 50);`);
  assert.deepEqual(rest, { stderr: "", status: 0 });
  const flags = ["--disable-sigusr1", "--use-openssl-ca"];
  const facts = { rest: ["--", ...WORDS], input: "options", cwd: bundle, isLeader: true, flags };
  assert.deepEqual(JSON.parse(stdout), facts);
  for (const end = performance.now() + 5000; !existsSync(join(bundle, "lived-on")); await delay(10)) {
    assert.ok(performance.now() < end, "the daemon has ended with its starter");
  }
});

test("shim-start tells an error, and a daemon that ends without a word", () => {
  assert.deepEqual(start(`answer("ethe-shim: no\\n")`), { stdout: "", stderr: "the-shim: no\n", status: 1 });
  const silent = "the-shim: the pod's daemon could not be started: it has ended without a word, or took too long\n";
  assert.deepEqual(start("process.exit(0)"), { stdout: "", stderr: silent, status: 1 });
});

test("shim-start becomes the program itself for what no daemon is for", () => {
  const { stdout, status } = start(`answer("n")`);
  assert.deepEqual([JSON.parse(stdout), status], [["the-shim", ...WORDS], 3]);
});

const root = { skip: process.getuid?.() !== 0 && "daemons are root's" };

test("a container of a pod whose daemon serves needs no other: where it does is printed and noted", root, async () => {
  const socket = "/run/caisson-shim/shim-start-test.sock";
  const address = `unix://${socket}`;
  const config = (id: string) => JSON.stringify({ annotations: { "io.kubernetes.cri.sandbox-id": id } });
  const daemon = `answer("anew")`;
  mkdirSync(join(folder, "pod"));
  writeFileSync(join(folder, "pod", "address"), address);
  writeFileSync(join(bundle, "config.json"), config("pod"));
  assert.equal(start(daemon).stdout, "new", "nobody serves there");

  mkdirSync("/run/caisson-shim", { recursive: true });
  const server = createServer((connection) => connection.destroy()).listen(socket);
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    assert.deepEqual(start(daemon), { stdout: address, stderr: "", status: 0 });
    assert.equal(readFileSync(join(bundle, "address"), "utf8"), address);
    assert.deepEqual(JSON.parse(start(daemon, { MAX_SHIM_VERSION: "2" }).stdout), {
      ...{ version: 2, address, protocol: "ttrpc" },
    });
    assert.equal(start(daemon, { MAX_SHIM_VERSION: "3" }).stdout, "new");
    for (const [text, why] of [
      [config("../container"), "an id that is a path"],
      [config("other"), "a pod that is not there"],
      [config("pod") + config("pod"), "two pods"],
      [JSON.stringify({ process: { args: [config("pod")] } }), "the annotation in a string"],
      ["{}", "no pod"],
    ] as const) {
      writeFileSync(join(bundle, "config.json"), text);
      assert.equal(start(daemon).stdout, "new", why);
    }
    writeFileSync(join(bundle, "config.json"), config("pod"));
    writeFileSync(join(folder, "pod", "address"), "unix:///run/other.sock");
    assert.equal(start(daemon).stdout, "new", "another runtime's daemon");
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("shim-start refuses to start nothing", () => {
  assert.equal(spawnSync(builtFile("shim-start"), [process.execPath]).status, 125);
});
