import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { builtFile } from "../addon.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-launch-"));
const script = join(folder, "program.cjs");
const begun = join(folder, "begun");
mkdirSync(join(folder, "left"));
after(() => rmSync(folder, { recursive: true }));

/**
 * The daemon answers what it is asked with ANSWER, if it is asked, and ends by the exit code or the signal END, at the latest by a
 * signal of which it is told. The command line says what it was started with, what the daemon is, and how its end is heard of.
 */
writeFileSync(
  script,
  `
  const fs = require("node:fs");
  const [word, facts, ...rest] = process.argv.slice(2);
  const { execArgv, env } = process;
  if (word === "sandbox-daemon") {
    const session = Number(fs.readFileSync("/proc/self/stat", "latin1").split(") ")[1].split(" ")[3]);
    const isLeader = session === process.pid;
    const read = () => fs.readSync(3, Buffer.alloc(1000));
    if (env.ANSWER) {
      read();
      fs.writeFileSync(${JSON.stringify(begun)}, "");
      if (env.ANSWER !== "none") fs.writeSync(3, env.ANSWER + "\\n");
      if (env.END === "asked") read();
      if (env.END === "SIGKILL") process.kill(process.pid, env.END);
      process.exitCode = Number(env.END ?? 0) || 0;
    }
    if (!env.END) fs.writeSync(3, JSON.stringify({ pid: process.pid, facts, rest, execArgv, isLeader }));
  } else {
    const [pid, connection, life] = (facts ?? "").split(",").map(Number);
    const daemon = env.END ? undefined : JSON.parse(fs.readFileSync(connection, "utf8"));
    if (env.END) fs.closeSync(connection);
    const ended = life === undefined ? undefined : fs.readFileSync(life).length;
    console.log(JSON.stringify({ word, isChild: daemon?.pid === pid, ended, rest, execArgv, daemon }));
  }`,
);

function start(environment: Record<string, string>, ...args: string[]): ChildProcess {
  rmSync(begun, { force: true });
  const env = { ...process.env, ...environment };
  return spawn(builtFile("launch"), [process.execPath, script, "caisson", ...args], { env, cwd: folder });
}

/** How it ends: with what the command line says, or else with its exit code or its signal. */
async function ended(child: ChildProcess) {
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (text) => {
    stdout += text;
  });
  child.stderr?.on("data", (text) => {
    stderr += text;
  });
  const [status, signal] = await once(child, "close");
  assert.equal(stderr, "");
  return stdout === "" ? (signal ?? status) : JSON.parse(stdout);
}

const STARTED = '{"id":1,"result":{"started":true}}';
const RUN = ["--root", folder, "run", "-b", "a b", "x"];

test("launch starts a daemon, and becomes the command line, which has the daemon's connection and is told its end", async () => {
  const words = ["--root", "/r", "run", "--keep", "-b", "a b", "x"];
  const { daemon, ...own } = await ended(start({}, ...words));
  const flags = ["--disable-sigusr1"];
  assert.deepEqual(own, { word: "with-daemon", isChild: true, ended: 0, rest: ["caisson", ...words], execArgv: flags });
  delete daemon.pid;
  assert.deepEqual(daemon, { facts: "--", rest: words, execArgv: [...flags, "--use-openssl-ca"], isLeader: true });
});

test("launch has the daemon do the whole, and becomes the command line where the daemon refuses that", async () => {
  const refused = '{"id":1,"error":{"code":"CAISSON_E_USAGE","message":"no"}}';
  for (const words of [RUN, ["create", "--pid-file=p", "x"], ["run", "x", "-d"]]) {
    const { word, rest } = await ended(start({ ANSWER: refused, END: "0" }, ...words));
    assert.deepEqual([word, rest], ["with-daemon", ["caisson", ...words]]);
  }
});

test("launch ends as the daemon that has run a container and removed it", async () => {
  assert.equal(await ended(start({ ANSWER: '{"id":1,"result":{}}', END: "3" }, "create", "x")), 0);
  for (const code of [0, 7, 255])
    assert.equal(await ended(start({ ANSWER: STARTED, END: String(code) || "0" }, ...RUN)), code);
});

test("launch leaves to the command line a container that was not removed, whose daemon was killed, or that could not be launched", async () => {
  const failed = '{"id":1,"result":{"error":{"code":"CAISSON_E_STATE","message":"no"}}}';
  for (const [answer, end, told, id] of [
    [STARTED, "7", STARTED, "left"],
    [STARTED, "SIGKILL", STARTED, "x"],
    [failed, "1", failed, "x"],
    ["none", "SIGKILL", "", "x"],
  ] as const) {
    const words = ["--root", folder, "run", id];
    const { word, ended: end0, rest } = await ended(start({ ANSWER: answer, END: end }, ...words));
    assert.deepEqual([word, end0, rest], ["with-answer", 0, [told, "caisson", ...words]], answer);
  }
});

test("launch passes signals on to a container that runs, and tells of one that comes before", async () => {
  const begins = async () => {
    while (!existsSync(begun)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const early = start({ ANSWER: "none", END: "asked" }, ...RUN);
  await begins();
  early.kill("SIGTERM");
  assert.deepEqual((await ended(early)).rest, ['{"interrupted":15}', "caisson", ...RUN]);

  const late = start({ ANSWER: STARTED, END: "asked" }, ...RUN);
  await begins();
  await new Promise((resolve) => setTimeout(resolve, 100));
  late.kill("SIGHUP");
  assert.equal(await ended(late), 0);

  // The caller of a create has nothing to be passed on to.
  const creating = start({ ANSWER: "none", END: "asked" }, "create", "x");
  await begins();
  creating.kill("SIGTERM");
  assert.equal(await ended(creating), "SIGTERM");
});

test("launch refuses to start nothing", () => {
  assert.equal(spawnSync(builtFile("launch"), [process.execPath]).status, 125);
});

test("launch says that Node.js has too few descriptors, or too little memory", () => {
  const words = [builtFile("launch"), process.execPath, script, "caisson", "state", "x"];
  const say = (limit: string) => {
    const { status, stderr } = spawnSync("sh", ["-c", `ulimit ${limit}; "$0" "$@"`, ...words], { encoding: "utf8" });
    assert.equal(status, 1);
    return stderr;
  };
  const least = (most: string) => `, and at least ${most} are needed (CAISSON_E_HOST)\n`;
  assert.equal(say("-n 31"), `caisson: the limit on open files (ulimit -Hn) is 31${least("32")}`);
  const data = "caisson: the limit on data (ulimit -d) is 102400000 bytes";
  assert.equal(say("-d 100000"), data + least("671088640"));
  const space = "caisson: the limit on address space (ulimit -v) is 1048576000 bytes";
  assert.equal(say("-v 1024000"), space + least("1342177280"));
});
