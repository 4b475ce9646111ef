import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { builtFile } from "../addon.ts";
import { reap, spawnProgram } from "../posix/index.ts";

const FIRST_DESCRIPTOR = 100;
const FLAGS = ["--disable-sigusr1", "--single-threaded", "--v8-pool-size=1"];
const folder = mkdtempSync(join(tmpdir(), "caisson-snapshot-"));
const snapshot = join(folder, "snapshot");
const copiedAddon = join(folder, "snapshot.node");
const nothing = openSync("/dev/null", "r+");
after(() => rmSync(folder, { recursive: true }));

/** Loads, dumps itself, and in a restored process does what the last word says. */
const PROGRAM = `
  const { writeSync, readlinkSync, promises } = require("node:fs");
  const http2 = require("node:http2");
  const { exec } = require("node:child_process");
  const crypto = require("node:crypto");
  const module_ = { exports: {} };
  process.dlopen(module_, ${JSON.stringify(copiedAddon)});
  const kept = { since: "the dump" };
  if (process.argv[3] === "socket") require("node:net").createServer().listen(0, "127.0.0.1", go);
  else go();
  function go() {
    const restored = module_.exports.dump(process.argv[2], ${FIRST_DESCRIPTOR});
    if (restored === undefined) process.exit(7);
    const end = (code) => { process.kill(restored.pid, code); };
    const tell = (value) => writeSync(1, JSON.stringify(value) + "\\n");
    const deeds = {
      facts: () => tell({ ...restored, kept, self: readlinkSync("/proc/self"), env: { ...process.env }, cwd: process.cwd() }),
      random: () => tell(crypto.randomBytes(8).toString("hex")),
      garbage: () => {
        let objects = [];
        for (let round = 0; round < 20; round++) objects = Array.from({ length: 100000 }, (_, index) => ({ index, text: "x" + index }));
        tell(objects.every(({ index, text }) => text === "x" + index));
      },
      work: async () => {
        const began = Date.now();
        await new Promise((resolve) => setTimeout(resolve, 50));
        const slept = Date.now() - began;
        const file = await promises.readFile("/proc/self/comm", "utf8");
        const child = await new Promise((resolve, reject) => exec("echo child", (error, out) => error ? reject(error) : resolve(out)));
        const server = http2.createServer().on("stream", (stream) => { stream.respond(); stream.end("answer"); }).listen(0, "127.0.0.1");
        await new Promise((resolve) => server.once("listening", resolve));
        const client = http2.connect("http://127.0.0.1:" + server.address().port);
        const answer = (await client.request({ ":path": "/" }).toArray()).join("");
        const signalled = new Promise((resolve) => process.once("SIGUSR2", () => resolve(true)));
        process.kill(restored.pid, "SIGUSR2");
        tell({ slept, file: file.length > 0, child, answer, signalled: await signalled });
      },
    };
    Promise.resolve(deeds[restored.words.at(-1)]()).then(() => end("SIGKILL"), (error) => { writeSync(2, String(error.stack)); end("SIGKILL"); });
  }`;

const script = join(folder, "program.cjs");

/** Runs Node.js, with all descriptors in use that those restored later may have. @returns its exit code. */
function dumpTo(path: string, ...words: string[]): number {
  const fds = Array(FIRST_DESCRIPTOR).fill(nothing);
  const end = reap(spawnProgram([process.execPath, ...FLAGS, script, path, ...words], fds));
  return "exitCode" in end ? end.exitCode : -end.signal;
}

/** @param words what it is for; /bin/echo says them if it cannot be restored. */
function restore(path: string, words: readonly string[], options: object = {}) {
  const child = spawnSync(builtFile("restore"), [path, "/bin/echo", ...words], {
    encoding: "utf8",
    timeout: 20_000,
    ...options,
  });
  return { ...child, out: child.stdout.trim() };
}

before(() => {
  writeFileSync(script, PROGRAM);
  copyFileSync(builtFile("snapshot.node"), copiedAddon);
  assert.equal(dumpTo(snapshot), 7);
});

test("a restored process goes on where the other was, with what its starter gives it", () => {
  const env = { SOME: "thing" };
  const facts = JSON.parse(restore(snapshot, ["one", "facts"], { env, cwd: folder }).out);
  assert.deepEqual(facts.words, ["/bin/echo", "one", "facts"]);
  assert.deepEqual([facts.kept, facts.env, facts.cwd], [{ since: "the dump" }, env, folder]);
  assert.equal(String(facts.pid), facts.self);
});

test("a restored process has what Node.js has: timers, threads, children, HTTP/2, signals, garbage collection", () => {
  const { slept, ...rest } = JSON.parse(restore(snapshot, ["work"]).out);
  assert.deepEqual(rest, { file: true, child: "child\n", answer: "answer", signalled: true });
  assert.ok(slept >= 49, `slept for ${slept} ms`);
  assert.equal(restore(snapshot, ["garbage"]).out, "true");
});

test("Node.js on an overlay file system, where V8 copies its own code, is restored as well", {
  skip: process.getuid?.() !== 0 && "needs root",
}, () => {
  const line = `
    cd "$1"
    mkdir lower over program
    mount --bind "$2" program
    # With layers on several file systems a file has another device than its mapping.
    mount -t tmpfs none lower
    mount -t overlay overlay -o lowerdir=program:lower over
    restore=$3
    shift 3
    status=0
    over/node "$@" || status=$?
    [ "$status" = 7 ]
    exec "$restore" overlaid /bin/echo facts`;
  const out = join(folder, "facts");
  const words = [dirname(process.execPath), builtFile("restore"), ...FLAGS, script, join(folder, "overlaid")];
  const fds = Array(FIRST_DESCRIPTOR).fill(nothing).with(1, openSync(out, "w"));
  const program = ["/usr/bin/unshare", "--mount", "sh", "-euc", line, "sh", folder, ...words];
  assert.deepEqual(reap(spawnProgram(program, fds, { environment: ["PATH=/usr/bin:/bin"] })), { signal: 9 });
  assert.match(readFileSync(out, "utf8"), /the dump/);
});

test("restored processes have random numbers of their own", () => {
  const numbers = [1, 2, 3].map(() => restore(snapshot, ["random"]).out);
  assert.equal(new Set(numbers).size, 3, numbers.join());
});

test("twenty at once are restored", async () => {
  const pids = Array.from({ length: 20 }, () => {
    const words = [builtFile("restore"), snapshot, "/bin/false", "work"];
    return spawnProgram(words, [nothing, nothing, nothing], { environment: ["PATH=/usr/bin:/bin"] });
  });
  // What was restored kills itself.
  for (const pid of pids) assert.deepEqual(reap(pid), { signal: 9 });
});

test("a standard stream that the starter has closed is /dev/null", () => {
  const line = `exec "$@" <&- 2>&-`;
  const child = spawnSync("/bin/sh", ["-c", line, "sh", builtFile("restore"), snapshot, "/bin/echo", "work"], {
    encoding: "utf8",
  });
  assert.equal(JSON.parse(child.stdout).answer, "answer");
});

test("what is no snapshot, another's, open to others or of another boot is not restored: the program runs instead", () => {
  const copy = join(folder, "copy");
  const spoil = (how: (path: string) => void) => {
    rmSync(copy, { force: true });
    copyFileSync(snapshot, copy);
    chmodSync(copy, 0o600);
    how(copy);
    assert.equal(restore(copy, ["facts"]).out, "facts", how.toString());
  };
  spoil((path) => rmSync(path));
  spoil((path) => truncateSync(path, 100));
  spoil((path) => writeFileSync(path, Buffer.alloc(2 ** 20, "text")));
  spoil((path) => chmodSync(path, 0o640));
  spoil((path) => {
    rmSync(path);
    execFileSync("mkfifo", [path]);
  });
  spoil((path) => {
    const bytes = readFileSync(path);
    // The boot's id begins after the magic word, the version and the size.
    bytes.write("another", 16);
    writeFileSync(path, bytes);
  });
});

test("descriptors that Node.js would have, and the starter has open, keep a process from being restored", () => {
  const line = `exec "$@" ${FIRST_DESCRIPTOR + 1}</dev/null ${FIRST_DESCRIPTOR + 2}</dev/null`;
  const child = spawnSync("/bin/bash", ["-c", line, "sh", builtFile("restore"), snapshot, "/bin/echo", "facts"], {
    encoding: "utf8",
  });
  assert.equal(child.stdout, "facts\n");
});

test("a starter with few descriptors raises their number, or does without; the snapshot stays for others", () => {
  const say = (limit: string) => {
    const line = `ulimit ${limit}; exec "$@"`;
    const words = ["-c", line, "sh", builtFile("restore"), snapshot, "/bin/echo", "facts"];
    return spawnSync("/bin/sh", words, { encoding: "utf8" }).stdout;
  };
  assert.match(say("-Sn 10"), /the dump/);
  assert.equal(say("-n 10"), "facts\n");
  assert.match(say("-n 1024"), /the dump/);
});

test("no snapshot is made of a process with a socket, or in a file's place", () => {
  assert.equal(dumpTo(join(folder, "third"), "socket"), 1);
  assert.equal(dumpTo(snapshot), 1);
});

test("a snapshot of a file that has changed since is not restored, and goes", () => {
  const other = join(folder, "other");
  assert.equal(dumpTo(other), 7);
  assert.match(restore(other, ["facts"]).out, /the dump/);
  utimesSync(copiedAddon, 1, 1);
  assert.equal(restore(other, ["facts"]).out, "facts");
  assert.ok(!existsSync(other), "it stays");
});
