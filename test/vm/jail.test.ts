/** What a QEMU that has been taken over could do: a program that is started in its place, with its rights, tries. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { jailCommand } from "../../runtime/vm/jail/command.ts";
import { jailFiles } from "../../runtime/vm/jail/files.ts";
import { inNewPidNamespace } from "../../runtime/vm/jail/pid-namespace.ts";
import { takeUid } from "../../runtime/vm/jail/uids.ts";

const PROGRAM = join(import.meta.dirname, "..", "harness", "jailed.mjs");
const folder = mkdtempSync(join(tmpdir(), "caisson-jail-"));
const socket = join(folder, "control.sock");
const listener = createServer();
const uid = takeUid({ first: 2_100_000_000, count: 1024 }, folder);
const NAMESPACES = ["mnt", "pid", "ipc", "uts", "cgroup", "net"];

type Results = Record<string, { done?: string; failed?: string }>;
let results: Results = {};

before(async () => {
  listener.listen(socket);
  const memory = join(folder, "memory");
  writeFileSync(memory, "of a template", { mode: 0o600 });
  results = await tryIn(uid.uid, memory);
});
after(() => {
  listener.close();
  uid.release();
  rmSync(folder, { recursive: true });
});

/** Another limit than this process has, which may not be allowed to raise it. */
const LOCKED = 4 * 2 ** 20;

async function tryIn(user: number, memory: string): Promise<Results> {
  const files = [...(await jailFiles(process.execPath)), PROGRAM];
  const fd = openSync(memory, "r");
  const host = openSync("/", "r");
  try {
    const abstract = "\0caisson-jail-test";
    const asked = { outside: process.pid, sockets: [socket, abstract], inherited: { "a template": 3 } };
    const program = [process.execPath, PROGRAM, JSON.stringify(asked)];
    const jail = {
      uid: user,
      capabilities: [],
      files,
      devices: [],
      lockedMemoryBytes: LOCKED,
      descriptors: 4,
      withParent: true,
    };
    const [file, words] = jailCommand(jail, program);
    // The last one it is not to have: a directory of the host.
    const stdio = ["ignore", "pipe", "pipe", fd, host] as const;
    const { stdout, stderr } = inNewPidNamespace(() =>
      spawnSync(file, words, { stdio: [...stdio], encoding: "utf8", env: {}, timeout: 60_000 }),
    );
    assert.match(stdout, /^\{/, stderr);
    return JSON.parse(stdout) as Results;
  } finally {
    closeSync(fd);
    closeSync(host);
  }
}

test("a jailed QEMU reads nothing of the host's but what it needs, and writes nothing", () => {
  for (const [name, { failed }] of Object.entries(results).filter(([name]) => name.startsWith("read /"))) {
    // A folder that this program or Node.js lies below is there, with the way to it alone.
    const above = [PROGRAM, process.execPath].some((file) => file.startsWith(`${name.slice("read ".length)}/`));
    assert.equal(failed, above ? "EISDIR" : "ENOENT", name);
  }
  for (const [name, { failed = "done" }] of Object.entries(results).filter(([name]) => name.startsWith("write /"))) {
    assert.ok(["ENOENT", "EROFS", "EACCES", "EPERM"].includes(failed), `${name}: ${failed}`);
  }
  assert.equal(results["write to a template"]?.failed, "EACCES");
  assert.deepEqual(results["go through descriptors"], { done: "" });
  const seen = results["see files"]?.done?.split(",") ?? [];
  assert.deepEqual(
    seen.filter(
      (name) => !["bin", "etc", "lib", "lib64", "proc", "usr", ...PROGRAM.split("/").slice(1, 2)].includes(name),
    ),
    process.execPath
      .split("/")
      .slice(1, 2)
      .filter((name) => !seen.includes(name)),
  );
});

test("a jailed QEMU sees, signals and reads no process but its own", () => {
  assert.deepEqual(results["see processes"], { done: "1" });
  assert.equal(results["signal another"]?.failed, "ESRCH");
  assert.equal(results["read the memory of another"]?.failed, "ENOENT");
});

test("a jailed QEMU reaches no socket and no network", () => {
  const connects = Object.entries(results).filter(([name]) => name.startsWith("connect"));
  assert.equal(connects.length, 3);
  for (const [name, { failed = "done" }] of connects) {
    assert.ok(["ENOENT", "ECONNREFUSED", "ENETUNREACH"].includes(failed), `${name}: ${failed}`);
  }
  assert.deepEqual(results["see the network"], { done: "" });
});

test("a jailed QEMU has a user of its own, no capability and no way to one", () => {
  const { done = "" } = results["status"] ?? {};
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
    assert.match(done, new RegExp(`${set}:\t0{16}(;|$)`));
  assert.match(done, /NoNewPrivs:\t1/);
  assert.match(done, new RegExp(`Uid:(\t${uid.uid}){4};Gid:(\t${uid.uid}){4};Groups:\t ;`));
  assert.equal(results["become root"]?.failed, "EPERM");
  assert.equal(results["join a group"]?.failed, "EPERM");
  assert.ok(results["change its limits"]?.done);
  assert.deepEqual(results["lock memory"], { done: String(LOCKED) });
});

test("a jailed QEMU shares no namespace with the host", () => {
  const own = results["namespaces"]?.done?.split(",") ?? [];
  assert.equal(own.length, NAMESPACES.length);
  for (const name of NAMESPACES) assert.ok(!own.includes(readlinkSync(`/proc/self/ns/${name}`)), name);
});
