import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Mount, NamespaceType } from "../../protocol/oci.ts";
import { DEV, failure, lines, NEEDS_ROOT, PROC, Rootfs } from "../../test/harness/agent/trial.ts";

const options = { skip: NEEDS_ROOT };

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
