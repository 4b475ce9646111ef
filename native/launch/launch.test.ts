import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { builtFile } from "../addon.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-launch-"));
const script = join(folder, "program.cjs");
after(() => rmSync(folder, { recursive: true }));

/** What the daemon says on its connection, and how the command line hears of its end. */
const PROGRAM = `
  const fs = require("node:fs");
  const [word, facts, ...rest] = process.argv.slice(2);
  const { execArgv } = process;
  if (word === "sandbox-daemon") {
    const session = Number(fs.readFileSync("/proc/self/stat", "latin1").split(") ")[1].split(" ")[3]);
    fs.writeSync(3, JSON.stringify({ pid: process.pid, facts, rest, execArgv, isLeader: session === process.pid }));
  } else {
    const [pid, connection, life] = facts.split(",").map(Number);
    const daemon = JSON.parse(fs.readFileSync(connection, "utf8"));
    const ended = fs.readFileSync(life).length;
    console.log(JSON.stringify({ word, isChild: daemon.pid === pid, ended, rest, execArgv, daemon }));
  }`;

/** Runs it with all of that. */
function launch(...args: string[]) {
  writeFileSync(script, PROGRAM);
  const { stdout, stderr, status } = spawnSync(builtFile("launch"), [process.execPath, script, ...args], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

test("launch starts a daemon, and becomes the command line, which has the daemon's connection and is told its end", () => {
  const { daemon, ...own } = launch("caisson", "--root", "/r", "run", "-b", "a b", "x");
  const words = ["--root", "/r", "run", "-b", "a b", "x"];
  const flags = ["--disable-sigusr1"];
  assert.deepEqual(own, { word: "with-daemon", isChild: true, ended: 0, rest: ["caisson", ...words], execArgv: flags });
  delete daemon.pid;
  assert.deepEqual(daemon, { facts: "--", rest: words, execArgv: [...flags, "--use-openssl-ca"], isLeader: true });
});

test("launch refuses to start nothing", () => {
  assert.equal(spawnSync(builtFile("launch"), [process.execPath]).status, 125);
});

test("launch says that Node.js has too few descriptors", () => {
  const line = `ulimit -n 31; ${builtFile("launch")} ${process.execPath} ${script} caisson state x`;
  const { status, stderr } = spawnSync("sh", ["-c", line], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.equal(
    stderr,
    "caisson: the limit on open files (ulimit -Hn) is 31, and at least 32 are needed (CAISSON_E_HOST)\n",
  );
});
