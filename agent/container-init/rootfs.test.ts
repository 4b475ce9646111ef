import assert from "node:assert/strict";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Mount, NamespaceType } from "../../protocol/oci.ts";
import { configOf, DEV, failure, lines, NEEDS_ROOT, PROC, Rootfs, run } from "../../test/harness/agent/trial.ts";

const options = { skip: NEEDS_ROOT };
/** linux/magic.h */
const TMPFS = 0x01021994;
const namespaces = (["pid", "network", "ipc", "uts", "mount", "cgroup"] as NamespaceType[]).map((type) => ({ type }));
const bind = (source: string, destination: string, ...more: string[]): Mount => ({
  destination,
  type: "bind",
  source,
  options: ["rbind", ...more],
});

/** Fields of the mount's line in mountinfo (proc_pid_mountinfo(5)). */
async function mountInfo(rootfs: Rootfs, mounts: Mount[], point: string) {
  const all = await lines(rootfs, "cat /proc/self/mountinfo", { mounts });
  const line =
    all.findLast((one) => one.split(" ")[4] === point) ?? assert.fail(`${point} is no mount:\n${all.join("\n")}`);
  const [before = "", after = ""] = line.split(" - ");
  const [, , , , , attributes = "", ...propagation] = before.split(" ");
  const [type = "", source = "", superblock = ""] = after.split(" ");
  return { attributes: attributes.split(","), propagation, type, source, superblock: superblock.split(",") };
}

test("mount points, folders and files, are made; binds are of what the source is", options, async () => {
  using rootfs = new Rootfs();
  const folder = rootfs.folder("folder");
  writeFileSync(join(folder, "file"), "content");
  const mounts = [bind(folder, "/a/b/c"), bind(join(folder, "file"), "/d/e")];
  assert.deepEqual(await lines(rootfs, "cat /a/b/c/file /d/e; stat -c %F /d/e", { mounts }), [
    "contentcontentregular file",
  ]);
});

test(
  "what is bound onto the root is the root; a source in the own root may be an earlier mount's",
  options,
  async () => {
    using rootfs = new Rootfs();
    using other = new Rootfs();
    other.file("here", "the other root\n");
    const tmpfs: Mount = { destination: "/t", type: "tmpfs", source: "tmpfs", options: ["mode=755"] };
    const mounts = [
      bind(other.path, "/"),
      PROC,
      DEV,
      tmpfs,
      bind(`${rootfs.path}/t`, "/own"),
      bind(`${rootfs.path}/bin`, "/b"),
    ];
    const config = { config: { mounts, root: { path: rootfs.path } } };
    const script =
      "cat /here; echo made > /t/f; cat /own/f; ls -d /b/sh; busybox cut -d' ' -f5 /proc/self/mountinfo | grep -c '^/$'";
    assert.deepEqual(await lines(rootfs, script, config), ["the other root", "made", "/b/sh", "1"]);
  },
);

test("/proc and /sys are mounted on ordinary folders alone", options, async () => {
  using rootfs = new Rootfs();
  symlinkSync("bin", join(rootfs.path, "proc"));
  const reason =
    /^CAISSON_E_PROCESS_SETUP mounts\[0\] "\/proc": mounting proc on an ordinary folder failed: not a directory \(ENOTDIR\)$/;
  assert.match(await failure(rootfs, {}), reason);
});

test("a target never leaves the root, whatever links and .. say", options, async () => {
  using rootfs = new Rootfs();
  const outside = rootfs.folder("outside");
  const source = rootfs.folder("source");
  writeFileSync(join(source, "mark"), "");
  symlinkSync(outside, join(rootfs.path, "absolute"));
  symlinkSync("../../../../../../../..", join(rootfs.path, "relative"));
  mkdirSync(join(rootfs.path, "target"));
  symlinkSync("/target", join(rootfs.path, "link"));
  const mounts = [
    bind(source, "/absolute/x"),
    bind(source, `/relative${outside}/y`),
    bind(source, "/../../link"),
    bind(source, "/link/../z"),
  ];
  const script = `ls ${outside}/x ${outside}/y /target /z`;
  assert.equal((await lines(rootfs, script, { mounts })).filter((line) => line === "mark").length, 4);
  assert.deepEqual(readdirSync(outside), []);
});

test("a link that leads to nothing is followed and its target made", options, async () => {
  using rootfs = new Rootfs();
  const file = join(rootfs.folder("source"), "resolv.conf");
  writeFileSync(file, "nameserver 192.0.2.1\n");
  mkdirSync(join(rootfs.path, "etc"));
  symlinkSync("../run/systemd/resolve/stub.conf", join(rootfs.path, "etc/resolv.conf"));
  symlinkSync("loop", join(rootfs.path, "loop"));
  const script = "cat /run/systemd/resolve/stub.conf /etc/resolv.conf";
  const mounts = [bind(file, "/etc/resolv.conf")];
  assert.deepEqual(await lines(rootfs, script, { mounts }), ["nameserver 192.0.2.1", "nameserver 192.0.2.1"]);
  assert.match(
    await failure(rootfs, { mounts: [bind(file, "/loop")] }),
    /mounts\[2\] "\/loop": mounting failed: .*\(ELOOP\)/,
  );
});

test("attributes of mounts", options, async () => {
  using rootfs = new Rootfs();
  const source = rootfs.folder("source");
  const cases: [string[], string[], string[]][] = [
    [["ro", "nosuid", "nodev", "noexec"], ["ro", "nosuid", "nodev", "noexec", "relatime"], []],
    [
      ["ro", "rw", "nosuid", "suid"],
      ["rw", "relatime"],
      ["ro", "nosuid"],
    ],
    [["noatime", "nodiratime"], ["noatime", "nodiratime"], ["relatime"]],
    [["noatime", "strictatime"], ["rw"], ["noatime", "relatime"]],
    [["nosymfollow"], ["nosymfollow"], []],
  ];
  for (const [given, present, absent] of cases) {
    for (const mount of [
      bind(source, "/m", ...given),
      { destination: "/m", type: "tmpfs", source: "tmpfs", options: given },
    ]) {
      const { attributes, superblock } = await mountInfo(rootfs, [mount], "/m");
      for (const name of present) assert.ok(attributes.includes(name), `${mount.type} ${given}: ${attributes}`);
      for (const name of absent) assert.ok(!attributes.includes(name), `${mount.type} ${given}: ${attributes}`);
      // A bind mount must not change its file system for everyone else.
      assert.ok(superblock.includes("rw"), String(superblock));
    }
  }
});

test("recursive attributes reach the mounts below, others do not", options, async () => {
  using rootfs = new Rootfs();
  const tree = rootfs.folder("tree");
  mkdirSync(join(tree, "below"));
  // The outer container's mounts are a tree to bind for the inner check: a tmpfs inside the bound folder.
  const nested = (option: string): Mount[] => [
    bind(tree, "/tree"),
    { destination: "/tree/below", type: "tmpfs", source: "tmpfs" },
    { destination: "/tree", options: ["remount", "bind", option] },
  ];
  const below = async (option: string) =>
    (await mountInfo(rootfs, nested(option), "/tree/below")).attributes.includes("ro");
  assert.equal(await below("rro"), true);
  assert.equal(await below("ro"), false);
  assert.ok((await mountInfo(rootfs, nested("ro"), "/tree")).attributes.includes("ro"));
});

test("remount changes the file system's own options", options, async () => {
  using rootfs = new Rootfs();
  const mounts: Mount[] = [
    { destination: "/m", type: "tmpfs", source: "tmpfs", options: ["size=64k"] },
    { destination: "/m", options: ["remount", "size=128k", "nodev"] },
  ];
  const info = await mountInfo(rootfs, mounts, "/m");
  assert.ok(info.superblock.includes("size=128k"), String(info.superblock));
  assert.ok(info.attributes.includes("nodev"));
});

/** Where the host's mounts are shared, as systemd has them, what is not private is their slave. */
const withoutMaster = (propagation: readonly string[]) => propagation.filter((each) => !each.startsWith("master:"));

test("propagation of a mount", options, async () => {
  using rootfs = new Rootfs();
  const source = rootfs.folder("source");
  const of = async (...given: string[]) =>
    withoutMaster((await mountInfo(rootfs, [bind(source, "/m", ...given)], "/m")).propagation);
  assert.deepEqual(await of(), []);
  assert.match((await of("shared")).join(), /shared:/);
  assert.match((await of("rshared", "rslave")).join(), /^(?!.*shared).*/);
  assert.deepEqual(await of("shared", "private"), []);
  assert.deepEqual(await of("unbindable"), ["unbindable"]);
});

test("propagation of the root", options, async () => {
  using rootfs = new Rootfs();
  const of = async (rootfsPropagation: "shared" | "slave" | "private" | "rshared" | "unbindable") => {
    const all = await lines(rootfs, "cat /proc/self/mountinfo", { linux: { namespaces, rootfsPropagation } });
    const root = all.find((line) => line.split(" ")[4] === "/") ?? "";
    return withoutMaster(root.split(" - ")[0]?.split(" ").slice(6) ?? []).join();
  };
  assert.match(await of("shared"), /^shared:/);
  assert.match(await of("rshared"), /^shared:/);
  assert.equal(await of("private"), "");
  assert.equal(await of("slave"), "");
  assert.equal(await of("unbindable"), "unbindable");
});

test("what is mounted in a container does not reach the host", options, async () => {
  using rootfs = new Rootfs();
  const source = rootfs.folder("source");
  mkdirSync(join(source, "below"));
  const before = readFileSync("/proc/self/mountinfo", "utf8");
  await lines(rootfs, "true", {
    mounts: [bind(source, "/m", "rshared"), { destination: "/m/below", type: "tmpfs", source: "tmpfs" }],
  });
  assert.equal(readFileSync("/proc/self/mountinfo", "utf8"), before);
});

test("a read-only tmpfs takes the mount points that lie in it first", options, async () => {
  using rootfs = new Rootfs();
  const source = rootfs.folder("source");
  const mounts: Mount[] = [
    { destination: "/m", type: "tmpfs", source: "tmpfs", options: ["ro"] },
    bind(source, "/m/in/side"),
  ];
  assert.deepEqual(await lines(rootfs, "touch /m/in/side/x; touch /m/y || echo refused", { mounts }), ["refused"]);
  assert.ok(existsSync(join(source, "x")));
});

test("a tmpfs takes over the mode of the folder it covers, unless it has one", options, async () => {
  using rootfs = new Rootfs();
  mkdirSync(join(rootfs.path, "m"));
  await lines(rootfs, "chmod 1711 /m");
  const mode = async (...given: string[]) =>
    await lines(rootfs, "stat -c %a /m", {
      mounts: [{ destination: "/m", type: "tmpfs", source: "tmpfs", options: given }],
    });
  assert.deepEqual(await mode(), ["1711"]);
  assert.deepEqual(await mode("mode=700"), ["700"]);
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

test("an id-mapped mount shows its owners moved", options, async (t) => {
  using rootfs = new Rootfs();
  const source = rootfs.folder("source");
  const [major = 0, minor = 0] = release().split(".").map(Number);
  if (statfsSync(source).type === TMPFS && (major < 6 || (major === 6 && minor < 3)))
    return t.skip("tmpfs takes no id map before Linux 6.3");
  writeFileSync(join(source, "file"), "");
  chownSync(join(source, "file"), 1000, 1000);
  const mapping = [{ containerID: 1000, hostID: 5000, size: 1 }];
  const mount = { ...bind(source, "/m", "idmap"), uidMappings: mapping, gidMappings: mapping };
  assert.deepEqual(await lines(rootfs, "stat -c %u:%g /m/file", { mounts: [mount] }), ["5000:5000"]);
  assert.equal(statSync(join(source, "file")).uid, 1000);
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
