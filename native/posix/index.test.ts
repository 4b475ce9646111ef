import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { closeAll, closeOnExec, runScript } from "../../test/harness/posix.ts";
import * as posix from "./index.ts";

const { LOCK_EX, LOCK_NB, LOCK_UN } = posix.constants;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "caisson-posix-"));
});
after(() => rmSync(folder, { recursive: true }));

test("closeOnExecFrom() keeps descriptors from the programs that are started, and leaves them open", () => {
  const script = `
    import { spawnSync } from "node:child_process";
    import { fstatSync } from "node:fs";
    const inherited = () =>
      spawnSync("readlink", [3, 40, 200].map((fd) => \`/proc/self/fd/\${fd}\`), { encoding: "utf8" }).stdout;
    const before = inherited();
    posix.closeOnExecFrom(3);
    fstatSync(40);
    console.log(JSON.stringify([before.split("\\n").filter((line) => line === "/dev/null").length, inherited()]));
  `;
  const file = join(folder, "close-on-exec.mjs");
  writeFileSync(file, `import * as posix from ${JSON.stringify(join(import.meta.dirname, "index.ts"))};\n${script}`);
  const words = ["-c", `exec 3</dev/null 40</dev/null 200</dev/null; exec "$0" "$1"`, process.execPath, file];
  const { stdout, stderr } = spawnSync("bash", words, { encoding: "utf8" });
  const [before, after] = JSON.parse(stdout || assert.fail(stderr)) as [number, string];
  // Node keeps the first ones back by itself.
  assert.equal(before, 2);
  assert.doesNotMatch(after, /null/);
});

test("dup2() puts one descriptor in another's place, whose file is closed by that", () => {
  const [read, write] = posix.pipe();
  const file = openSync("/dev/null", "r+");
  posix.dup2(file, write);
  assert.equal(readSync(read, Buffer.alloc(1)), 0);
  assert.equal(fstatSync(write).rdev, fstatSync(file).rdev);
  closeAll(read, write);
  closeSync(file);
  assert.throws(() => posix.dup2(file, file), { code: "EBADF" });
});

test("socketpair() connects two close-on-exec sockets", () => {
  const [first, second] = posix.socketpair();
  writeSync(first, "ping");
  const data = Buffer.alloc(16);
  assert.equal(data.toString("utf8", 0, readSync(second, data)), "ping");
  assert.ok(fstatSync(first).isSocket() && closeOnExec(first) && closeOnExec(second));
  closeAll(first, second);
});

test("pipe() gives the end to read from first", () => {
  const [read, write] = posix.pipe();
  writeSync(write, "through");
  const data = Buffer.alloc(16);
  assert.equal(data.toString("utf8", 0, readSync(read, data)), "through");
  assert.ok(closeOnExec(read) && closeOnExec(write));
  closeAll(read, write);
});

describe("sendFds() and recvFd()", () => {
  it("pass a descriptor and its bytes", () => {
    const [here, there] = posix.socketpair();
    const [read, write] = posix.pipe();
    posix.sendFds(here, [write], Buffer.from("stdout"));
    const { fd, data } = posix.recvFd(there);
    assert.equal(data.toString(), "stdout");
    assert.notEqual(fd, write);
    assert.ok(closeOnExec(fd));
    assert.equal(fstatSync(fd).ino, fstatSync(write).ino);
    closeAll(here, there, read, write, fd);
  });

  it("never wait: EAGAIN with nothing to take, ENOMSG without a descriptor, ECONNRESET at the end", () => {
    const [here, there] = posix.socketpair();
    assert.throws(() => posix.recvFd(there), { code: "EAGAIN", syscall: "recvmsg" });
    writeSync(here, "plain");
    assert.throws(() => posix.recvFd(there), { code: "ENOMSG" });
    closeSync(here);
    assert.throws(() => posix.recvFd(there), { code: "ECONNRESET" });
    assert.throws(() => posix.sendFds(there, [0], Buffer.from("x")), { code: "EPIPE" });
    closeSync(there);
  });

  it("refuse what a stream socket cannot carry", () => {
    const [here, there] = posix.socketpair();
    assert.throws(() => posix.sendFds(here, [0], Buffer.alloc(0)), { code: "EINVAL" });
    assert.throws(() => posix.sendFds(here, [0], Buffer.alloc(4097)), { code: "EMSGSIZE" });
    assert.throws(() => posix.sendFds(here, [9999], Buffer.from("x")), { code: "EBADF" });
    closeAll(here, there);
  });
});

test("connectUnix() connects to a listener and reports a missing one", async () => {
  const path = join(folder, "socket");
  const server = createServer().listen(path);
  await new Promise((resolve) => server.once("listening", resolve));
  const accepted = new Promise<string>((resolve) =>
    server.once("connection", (peer) => peer.once("data", (data) => resolve(data.toString()))),
  );
  const fd = posix.connectUnix(path);
  writeSync(fd, "hello");
  assert.equal(await accepted, "hello");
  closeSync(fd);
  server.close();
  assert.throws(() => posix.connectUnix(join(folder, "absent")), { code: "ENOENT", syscall: "connect" });
  assert.throws(() => posix.connectUnix("x".repeat(108)), { code: "ENAMETOOLONG" });
});

describe("a terminal", () => {
  it("has the size setWinsize() gave it", () => {
    const { master, slave } = posix.openpty();
    posix.setWinsize(master, 41, 132);
    assert.deepEqual(posix.getWinsize(slave), { rows: 41, columns: 132 });
    assert.throws(() => posix.setWinsize(master, 65536, 1), { code: "ERANGE" });
    assert.throws(() => posix.getWinsize(fstatSync(0).isFile() ? 0 : 9999), /ENOTTY|EBADF/);
    closeAll(master, slave);
  });

  it("makes line ends of newlines where setOnlcr() says so, at either end", () => {
    const { master, slave } = posix.openpty();
    const shown = () => {
      writeSync(slave, "a\n");
      const data = Buffer.alloc(16);
      return data.toString("utf8", 0, readSync(master, data));
    };
    assert.deepEqual([posix.getOnlcr(slave), shown()], [true, "a\r\n"]);
    posix.setOnlcr(master, false);
    assert.deepEqual([posix.getOnlcr(slave), shown()], [false, "a\n"]);
    posix.setOnlcr(slave, true);
    assert.deepEqual([posix.getOnlcr(master), shown()], [true, "a\r\n"]);
    closeAll(master, slave);
    assert.throws(() => posix.getOnlcr(9999), { code: "EBADF" });
  });

  it("passes bytes unchanged after makeRaw()", () => {
    const { master, slave } = posix.openpty();
    posix.makeRaw(slave);
    writeSync(slave, "a\nb\n");
    const data = Buffer.alloc(16);
    assert.equal(data.toString("utf8", 0, readSync(master, data)), "a\nb\n");
    closeAll(master, slave);
  });

  it("becomes the controlling one of a session leader by setControllingTerminal()", () => {
    const output = runScript(
      `import { openSync } from "node:fs";
       const { slave } = posix.openpty();
       let before = "none";
       try { openSync("/dev/tty", "r"); before = "some"; } catch {}
       posix.setControllingTerminal(slave);
       openSync("/dev/tty", "r");
       console.log(before);`,
      { detached: true },
    );
    assert.equal(output, "none");
  });
});

test("lockByte() locks what another opening has not locked, until it is closed", () => {
  const file = join(folder, "bytes");
  const first = openSync(file, "w+");
  const second = openSync(file, "w+");
  assert.equal(posix.lockByte(first, 2_000_000_000), true);
  assert.equal(posix.lockByte(second, 2_000_000_000), false);
  assert.equal(posix.lockByte(second, 2_000_000_001), true);
  closeSync(first);
  assert.equal(posix.lockByte(second, 2_000_000_000), true);
  closeSync(second);
  assert.throws(() => posix.lockByte(second, 0), { code: "EBADF", syscall: "fcntl" });
});

test("flock() tells a lock that another holds from an error", () => {
  const path = join(folder, "lock");
  writeFileSync(path, "");
  const first = openSync(path, "r");
  const second = openSync(path, "r");
  assert.equal(posix.flock(first, LOCK_EX), true);
  assert.equal(posix.flock(second, LOCK_EX | LOCK_NB), false);
  posix.flock(first, LOCK_UN);
  assert.equal(posix.flock(second, LOCK_EX | LOCK_NB), true);
  closeAll(first, second);
  assert.throws(() => posix.flock(first, LOCK_EX), { code: "EBADF", syscall: "flock" });
});

test("syncfs() takes a folder and refuses a closed descriptor", () => {
  const fd = openSync(folder, "r");
  posix.syncfs(fd);
  closeSync(fd);
  assert.throws(() => posix.syncfs(fd), { code: "EBADF", syscall: "syncfs" });
});

test("mapText() has a file between two words, whatever becomes of its name", () => {
  const path = join(folder, "text");
  for (const size of [0, 1, 4095, 4096, 4097, 100_000]) {
    const text = "0123456789abcdef".repeat(size / 16 + 1).slice(0, size);
    writeFileSync(path, text);
    const mapped = posix.mapText(path, "(head ", " tail)");
    rmSync(path);
    writeFileSync(path, "another");
    assert.equal(mapped, `(head ${text} tail)`);
    assert.equal(posix.mapText(path, "", ""), "another");
  }
  assert.throws(() => posix.mapText(join(folder, "none"), "", ""), { code: "ENOENT" });
  assert.throws(() => posix.mapText(folder, "", ""), { code: "ENODEV" });
});

test("mapText() takes no memory of the process's own for it", () => {
  const path = join(folder, "large");
  writeFileSync(path, "x".repeat(8 * 1024 * 1024));
  const own = () => Number(/^Private_Dirty:\s+(\d+)/m.exec(readFileSync("/proc/self/smaps_rollup", "latin1"))?.[1]);
  const before = own();
  const mapped = posix.mapText(path, "'", "'");
  assert.equal(mapped.lastIndexOf("'"), 8 * 1024 * 1024 + 1);
  assert.ok(own() - before < 1024, `${own() - before} KiB`);
});

test("wrong arguments are type errors", () => {
  const loose = posix as unknown as Record<string, (...values: unknown[]) => unknown>;
  for (const [name, values] of [
    ["syncfs", ["1"]],
    ["syncfs", []],
    ["setWinsize", [1, 1.5, 2]],
    ["sendFds", [1, 1, "text"]],
    ["mount", [null, "a\0b", null, 0, null]],
    ["mount", [null, null, null, 0, null]],
    ["umount", ["/", 2 ** 40]],
  ] as const)
    assert.throws(() => loose[name]?.(...values), { code: "ERR_INVALID_ARG_TYPE" }, name);
});
