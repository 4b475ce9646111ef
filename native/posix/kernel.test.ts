import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { closeOnExec, runScript } from "../../test/harness/posix.ts";
import * as posix from "./index.ts";

const { CLONE_FS, CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWUTS, MS_PRIVATE, MS_REC, MS_RDONLY, MS_REMOUNT, MS_BIND } =
  posix.constants;
const { MNT_DETACH } = posix.constants;
const needsRoot = process.getuid?.() === 0 ? false : "needs root";

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "caisson-posix-"));
});
after(() => rmSync(folder, { recursive: true }));

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
