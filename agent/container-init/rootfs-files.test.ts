import assert from "node:assert/strict";
import { chownSync, existsSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Mount, NamespaceType } from "../../protocol/oci.ts";
import { configOf, DEV, failure, lines, NEEDS_ROOT, PROC, Rootfs, run } from "../../test/harness/agent/trial.ts";

const options = { skip: NEEDS_ROOT };
const namespaces = (["pid", "network", "ipc", "uts", "mount", "cgroup"] as NamespaceType[]).map((type) => ({ type }));
const bind = (source: string, destination: string, ...more: string[]): Mount => ({
  destination,
  type: "bind",
  source,
  options: ["rbind", ...more],
});

test("tmpcopyup copies files, folders, links, nodes, owners, modes and times", options, async () => {
  using rootfs = new Rootfs();
  rootfs.file("m/deep/er/file", "content", 0o4751);
  chownSync(join(rootfs.path, "m/deep"), 12, 34);
  symlinkSync("deep/er", join(rootfs.path, "m/link"));
  const big = "x".repeat(3_000_000);
  rootfs.file("m/big", big);
  const script =
    "cd /m; cat deep/er/file link/file; stat -c ' %a' deep/er/file; stat -c %u:%g deep; readlink link; stat -c %s big; touch new; stat -c %Y deep/er/file";
  const mounts: Mount[] = [{ destination: "/m", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "ro", "rw"] }];
  const [first, ...rest] = await lines(rootfs, script, { mounts });
  const changed = Math.floor(statSync(join(rootfs.path, "m/deep/er/file")).mtimeMs / 1000);
  assert.equal(first, "contentcontent 4751");
  assert.deepEqual(rest, ["12:34", "deep/er", String(big.length), String(changed)]);
  assert.ok(!existsSync(join(rootfs.path, "m/new")));
});

test("root.readonly leaves mounts writable", options, async () => {
  using rootfs = new Rootfs();
  const script = "touch /x || echo refused; touch /dev/shm/x && echo done; pwd";
  const changes = {
    config: { root: { path: "", readonly: true } },
    mounts: [{ destination: "/dev/shm", type: "tmpfs", source: "shm" }],
    process: { cwd: "/made/for/it" },
  };
  assert.deepEqual(await lines(rootfs, script, changes), ["refused", "done", "/made/for/it"]);
});

test("masked paths are empty and read-only paths refuse; what is missing is skipped", options, async () => {
  using rootfs = new Rootfs();
  rootfs.file("secret/file", "secret");
  rootfs.file("key", "secret");
  rootfs.file("kept/file", "kept");
  const script =
    "ls /secret; cat /key; cat /kept/file; touch /kept/x || echo refused; touch /secret/x || echo refused; echo 1 > /proc/sys/kernel/panic || echo refused";
  const linux = {
    namespaces,
    maskedPaths: ["/secret", "/key", "/nowhere", "/key/below"],
    readonlyPaths: ["/kept", "/proc/sys", "/nowhere"],
  };
  assert.deepEqual(await lines(rootfs, script, { linux }), ["keptrefused", "refused", "refused"]);
});

test("default devices, links, and those of the configuration", options, async () => {
  using rootfs = new Rootfs();
  const devices = [
    { path: "/dev/sub/odd", type: "c" as const, major: 1, minor: 5, fileMode: 0o640, uid: 5, gid: 6 },
    { path: "/dev/pipe", type: "p" as const },
    { path: "/dev/full", type: "c" as const, major: 1, minor: 7, fileMode: 0o600 },
  ];
  const script = [
    "for d in null zero full random urandom tty sub/odd pipe; do stat -c '%n %F %t:%T %a %u:%g' /dev/$d; done",
    "for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done",
    "head -c 4 /dev/zero | stat -c %F -; echo x > /dev/full || echo full",
  ].join("; ");
  const output = await lines(rootfs, script, { linux: { namespaces, devices } });
  assert.deepEqual(output.slice(0, 13), [
    "/dev/null character special file 1:3 666 0:0",
    "/dev/zero character special file 1:5 666 0:0",
    "/dev/full character special file 1:7 600 0:0",
    "/dev/random character special file 1:8 666 0:0",
    "/dev/urandom character special file 1:9 666 0:0",
    "/dev/tty character special file 5:0 666 0:0",
    "/dev/sub/odd character special file 1:5 640 5:6",
    "/dev/pipe fifo 0:0 666 0:0",
    "/proc/self/fd",
    "/proc/self/fd/0",
    "/proc/self/fd/1",
    "/proc/self/fd/2",
    "pts/ptmx",
  ]);
  assert.equal(output.at(-1), "full");
});

test("without a file system of its own /dev gets the guest's devices", options, async () => {
  using rootfs = new Rootfs();
  rootfs.file("dev/null", "image");
  const script = "echo x > /dev/null; stat -c '%F %t:%T' /dev/null /dev/zero; readlink /dev/stdin";
  const { stdout } = await run(rootfs, configOf(script, { config: { mounts: [PROC] } }));
  assert.equal(stdout, "character special file 1:3\ncharacter special file 1:5\n/proc/self/fd/0\n");
});

test("a bound /dev is left as it is", options, async () => {
  using rootfs = new Rootfs();
  const dev = rootfs.folder("dev");
  const config = configOf("ls /dev; echo end", { config: { mounts: [PROC, bind(dev, "/dev")] } });
  assert.equal((await run(rootfs, config)).stdout, "end\n");
  assert.deepEqual(readdirSync(dev), []);
});

test("a failed mount names its field and what the file system said", options, async () => {
  using rootfs = new Rootfs();
  const of = (mount: Mount) => failure(rootfs, { mounts: [mount] });
  assert.equal(
    await of(bind("/nowhere", "/data")),
    `CAISSON_E_PROCESS_SETUP mounts[2] "/data": opening the source /nowhere failed: no such file or directory (ENOENT)`,
  );
  assert.match(
    await of({ destination: "/m", type: "tmpfs", source: "tmpfs", options: ["size=much"] }),
    /^CAISSON_E_PROCESS_SETUP mounts\[2\] "\/m": making the tmpfs file system failed: invalid argument \(EINVAL\): .*size.*$/,
  );
  assert.match(
    await of({ destination: "/m", type: "nofs", source: "x" }),
    /making the nofs file system failed: no such device \(ENODEV\)/,
  );
  assert.match(
    await of(bind(rootfs.folder("f"), "/bin/busybox")),
    /mounts\[2\] "\/bin\/busybox": mounting failed: not a directory/,
  );
});

test("the old root is gone", options, async () => {
  using rootfs = new Rootfs();
  const points = await lines(
    rootfs,
    "cat /proc/self/mountinfo | while read a b c root point rest; do echo $point; done",
  );
  assert.deepEqual(points.toSorted(), ["/", "/dev", "/proc"]);
  assert.ok(DEV.destination === "/dev");
});
