import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import * as posix from "./index.ts";

const { CLONE_FS, CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWUTS, MS_PRIVATE, MS_REC, MS_RDONLY, MS_REMOUNT, MS_BIND } =
  posix.constants;
const { MNT_DETACH, LOCK_EX, LOCK_NB, LOCK_UN } = posix.constants;
const needsRoot = process.getuid?.() === 0 ? false : "needs root";

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "caisson-posix-"));
});
after(() => rmSync(folder, { recursive: true }));

/** Runs a script in a process of its own, which namespaces and sessions can be changed in, without a capability; its standard output. */
function runScript(script: string, { without, ...options }: { detached?: boolean; without?: string } = {}): string {
  const source = `import * as posix from ${JSON.stringify(join(import.meta.dirname, "index.ts"))};\n${script}`;
  const words = [process.execPath, "--input-type=module", "--eval", source];
  // The program lies where another user may not reach it.
  if (without !== undefined) words.unshift("setpriv", `--inh-caps=-${without}`, `--bounding-set=-${without}`, "--");
  const [program = "", ...args] = words;
  const child = spawnSync(program, args, {
    encoding: "utf8",
    ...options,
  });
  assert.equal(child.status, 0, child.stderr);
  return child.stdout.trim();
}

function closeOnExec(fd: number): boolean {
  const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
  return (Number.parseInt(flags ?? "", 8) & 0o2000000) !== 0;
}

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

function closeAll(...fds: number[]): void {
  for (const fd of fds) closeSync(fd);
}

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

describe("namespaces", { skip: needsRoot }, () => {
  it("unshare() and mount() make a mount only this process sees, umount() removes it", () => {
    const target = join(folder, "mounted");
    mkdirSync(target);
    const output = runScript(`
      import { existsSync, writeFileSync } from "node:fs";
      posix.unshare(${CLONE_NEWNS});
      posix.mount(null, "/", null, ${MS_REC | MS_PRIVATE}, null);
      const target = ${JSON.stringify(target)};
      posix.mount("test", target, "tmpfs", 0, "size=64k,mode=700");
      writeFileSync(target + "/file", "x");
      posix.mount(null, target, null, ${MS_REMOUNT | MS_BIND | MS_RDONLY}, null);
      try { writeFileSync(target + "/file", "y"); } catch (error) { console.log(error.code); }
      posix.umount(target, ${MNT_DETACH});
      console.log(existsSync(target + "/file"));`);
    assert.equal(output, "EROFS\nfalse");
    assert.ok(!readFileSync("/proc/self/mounts", "utf8").includes(target));
    rmdirSync(target);
  });

  it("setns() returns to a namespace that was left", () => {
    const output = runScript(`
      import { openSync, readlinkSync, writeFileSync } from "node:fs";
      // The thread's own folder: /proc/self is the process, whose other threads have not moved.
      const name = () => readlinkSync("/proc/thread-self/ns/uts");
      const first = name();
      const fd = openSync("/proc/thread-self/ns/uts", "r");
      posix.unshare(${CLONE_NEWUTS});
      const second = name();
      posix.setns(fd, ${CLONE_NEWUTS});
      console.log(first !== second, first === name());
      try { posix.setns(fd, ${CLONE_NEWNS}); } catch (error) { console.log(error.code, error.syscall); }`);
    assert.equal(output, "true true\nEINVAL setns");
  });

  it("unshare() cannot make a user namespace for a process with threads", () => {
    assert.throws(() => posix.unshare(CLONE_NEWUSER), { code: "EINVAL", syscall: "unshare" });
  });

  it("cloneMounts() and attachMounts() bring mounts of one mount namespace into another", () => {
    const source = join(folder, "cloned");
    mkdirSync(source);
    const output = runScript(`
      import { openSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
      const source = ${JSON.stringify(source)};
      posix.unshare(${CLONE_NEWNS});
      posix.mount(null, "/", null, ${MS_REC | MS_PRIVATE}, null);
      const home = openSync("/proc/thread-self/ns/mnt", "r");
      posix.unshare(${CLONE_NEWNS});
      posix.mount("test", source, "tmpfs", 0, "size=64k");
      writeFileSync(source + "/file", "in it");
      const mounts = posix.cloneMounts(source, true);
      posix.unshare(${CLONE_FS});
      posix.setns(home, ${CLONE_NEWNS});
      console.log(readdirSync(source).length);
      posix.attachMounts(mounts, source);
      console.log(readFileSync(source + "/file", "utf8"));
      try { posix.cloneMounts(source + "/absent", true); } catch (error) { console.log(error.code, error.syscall); }
      try { posix.attachMounts(home, source); } catch (error) { console.log(error.code, error.syscall); }`);
    assert.equal(output, "0\nin it\nENOENT open_tree\nEINVAL move_mount");
  });

  it("mount() names its target in the error", () => {
    assert.throws(() => posix.mount(null, join(folder, "absent"), "tmpfs", 0, null), {
      code: "ENOENT",
      errno: -2,
      syscall: "mount",
      message: /absent/,
    });
    assert.throws(() => posix.umount(folder, 0), { code: "EINVAL", syscall: "umount2" });
  });
});

describe("network", { skip: needsRoot }, () => {
  it("openTap() makes an interface in the thread's namespace that goes with its descriptor, or with the namespace", () => {
    const output = runScript(`
      import { closeSync, readdirSync, readFileSync } from "node:fs";
      posix.unshare(${posix.constants.CLONE_NEWNET});
      const names = () => readFileSync("/proc/thread-self/net/dev", "utf8").match(/\\btap\\w+/g) ?? [];
      const first = posix.openTap("tap%d");
      const second = posix.openTap("tapx");
      console.log(first.name, second.name, second.index > first.index, ...names());
      const staying = posix.openTap("tapstays", true);
      for (const { fd } of [first, second, staying]) closeSync(fd);
      console.log(...names());
      try { posix.openTap("a".repeat(16)); } catch (error) { console.log(error.code); }`);
    assert.equal(output, "tap0 tapx true tap0 tapx\ntapstays\nENAMETOOLONG");
  });

  it("netlinkSocket() refuses a protocol that there is not", () => {
    assert.throws(() => posix.netlinkSocket(999), { code: "EPROTONOSUPPORT", syscall: "socket" });
    const fd = posix.netlinkSocket(0);
    assert.ok(fstatSync(fd).isSocket() && closeOnExec(fd));
    closeSync(fd);
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

test("clockSettime() needs the right to, and a bigint", { skip: needsRoot }, () => {
  // The time is never really set here: the host's clock is not ours to touch.
  const output = runScript(
    `try { posix.clockSettime(1n); } catch (error) { console.log(error.code, error.syscall); }`,
    { without: "sys_time" },
  );
  assert.equal(output, "EPERM clock_settime");
  assert.throws(() => posix.clockSettime(1 as unknown as bigint), { code: "ERR_INVALID_ARG_TYPE" });
  assert.throws(() => posix.clockSettime(-1n), { code: "ERR_INVALID_ARG_TYPE" });
});

test("addEntropy() feeds the kernel's pool, and refuses too little or too much", { skip: needsRoot }, () => {
  posix.addEntropy(randomBytes(64));
  assert.throws(() => posix.addEntropy(Buffer.alloc(0)), { code: "EINVAL" });
  assert.throws(() => posix.addEntropy(Buffer.alloc(4097)), { code: "EINVAL" });
});

const cgroups = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/self/mounts", "utf8"))?.[1];

describe("loadDeviceFilter() and attachDeviceFilter()", {
  skip: needsRoot || (cgroups ? false : "needs a cgroup v2 mount"),
}, () => {
  // Two instructions each: r0 = 0 (deny) and exit.
  const denyAll = Buffer.from("b700000000000000" + "9500000000000000", "hex");

  it("denies devices to the processes of the cgroup", () => {
    const cgroup = join(cgroups as string, `caisson-posix-${process.pid}`);
    mkdirSync(cgroup);
    try {
      const fd = openSync(cgroup, "r");
      const filter = posix.loadDeviceFilter(denyAll);
      posix.attachDeviceFilter(fd, filter);
      for (const each of [fd, filter]) closeSync(each);
      const script = `exec 3</dev/null && echo open; echo $$ >${cgroup}/cgroup.procs; exec 3</dev/null; echo not reached`;
      const child = spawnSync("sh", ["-c", script], { encoding: "utf8" });
      assert.equal(child.stdout, "open\n");
      assert.match(child.stderr, /not permitted/);
    } finally {
      rmdirSync(cgroup);
    }
  });

  it("replaces a filter by another", () => {
    const allowAll = Buffer.from("b700000001000000" + "9500000000000000", "hex");
    const cgroup = join(cgroups as string, `caisson-posix-${process.pid}`);
    mkdirSync(cgroup);
    try {
      const fd = openSync(cgroup, "r");
      const [deny, allow] = [posix.loadDeviceFilter(denyAll), posix.loadDeviceFilter(allowAll)];
      posix.attachDeviceFilter(fd, deny);
      posix.attachDeviceFilter(fd, allow, deny);
      assert.throws(() => posix.attachDeviceFilter(fd, allow, deny), { syscall: "bpf" });
      for (const each of [fd, deny, allow]) closeSync(each);
      const child = spawnSync("sh", ["-c", `echo $$ >${cgroup}/cgroup.procs; exec 3</dev/null && echo open`]);
      assert.equal(child.stdout.toString(), "open\n");
    } finally {
      rmdirSync(cgroup);
    }
  });

  it("reports what the verifier says about a program", () => {
    // Returns r0 unset.
    assert.throws(() => posix.loadDeviceFilter(denyAll.subarray(8)), { code: "EACCES", message: /R0 !read_ok/ });
    assert.throws(() => posix.loadDeviceFilter(Buffer.alloc(7)), { code: "EINVAL" });
  });
});

test("unblockSignal() lets a signal through that --disable-sigusr1 holds back, also one that came before", () => {
  const source = `
    import { unblockSignal } from ${JSON.stringify(join(import.meta.dirname, "index.ts"))};
    process.kill(process.pid, "SIGUSR1");
    process.once("SIGUSR1", () => { console.log("heard"); clearTimeout(late); });
    setTimeout(() => { console.log("unblocking"); unblockSignal(10); }, 50);
    const late = setTimeout(() => {}, 60_000);`;
  const child = spawnSync(process.execPath, ["--disable-sigusr1", "--input-type=module", "--eval", source], {
    encoding: "utf8",
  });
  assert.equal(child.stdout, "unblocking\nheard\n");
  assert.throws(() => posix.unblockSignal(1000), { code: "EINVAL" });
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
