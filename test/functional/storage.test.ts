/** The host's files in a container: what each of the two changes, and what the other one sees. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { Host, until } from "../harness/host.ts";

const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-storage-"));
after(async () => {
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** A change of the host's may be seen so much later. */
const SEEN_WITHIN_MS = 1500;

test("a running container's files and the host's are the same", async () => {
  using bundle = new Bundle();
  bundle.spec.mounts?.push(
    { destination: "/volume", source: folder, options: ["bind"] },
    { destination: "/read-only", source: folder, options: ["bind", "ro"] },
  );
  bundle.write();
  writeFileSync(join(folder, "old"), "old\n");
  const id = await host.start(bundle);
  const inside = (script: string) => host.run(["exec", id, "sh", "-c", script]);

  await host.ok([
    "exec",
    id,
    "sh",
    "-c",
    "echo by-the-guest > /volume/new; echo root > /made; exec 3>/volume/open; echo x >&3",
  ]);
  assert.equal(readFileSync(join(folder, "new"), "utf8"), "by-the-guest\n");
  assert.equal(readFileSync(join(bundle.rootfs, "made"), "utf8"), "root\n");

  assert.equal((await inside("cat /volume/old")).stdout, "old\n");
  writeFileSync(join(folder, "old"), "changed\n");
  writeFileSync(join(folder, "later"), "later\n");
  await new Promise((resolve) => setTimeout(resolve, SEEN_WITHIN_MS));
  assert.equal((await inside("cat /volume/old /volume/later /read-only/new")).stdout, "changed\nlater\nby-the-guest\n");

  using other = new Bundle(["true"]);
  mkdirSync(join(folder, "below"));
  other.spec.mounts?.push({ destination: "/m", source: join(folder, "below"), options: ["bind"] });
  const log = join(other.directory, "log");
  await host.ok(["--log", log, "run", "-b", other.write().directory, host.id()]);
  const told = readFileSync(log, "utf8");
  assert.match(told, /level=warning msg="mounts\[7\]\.source: another sandbox may write to .*below, too: .* locks/);

  const refused = await inside("echo x > /read-only/x || mount -o remount,rw /read-only; echo x > /read-only/x");
  assert.match(refused.stderr, /Read-only file system/);
  assert.equal(existsSync(join(folder, "x")), false);
  await host.ok(["delete", "--force", id]);
});

test("a full disk is an error where it is written to", async () => {
  const small = mkdtempSync(join(tmpdir(), "caisson-small-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", small]);
  try {
    using bundle = new Bundle([
      "sh",
      "-c",
      "dd if=/dev/zero of=/small/file bs=64k count=64; echo $?; busybox rm /small/file; echo fits > /small/file",
    ]);
    bundle.spec.mounts?.push({ destination: "/small", source: small, options: ["bind"] });
    bundle.write();
    const { stdout, stderr } = await host.run(["run", "-b", bundle.directory, host.id()]);
    assert.equal(stdout, "1\n");
    assert.match(stderr, /No space left on device/);
    assert.equal(readFileSync(join(small, "file"), "utf8"), "fits\n");
  } finally {
    execFileSync("umount", [small]);
    rmSync(small, { recursive: true });
  }
});

test("an id-mapped mount has the files of the container's users, here and there", async () => {
  using bundle = new Bundle();
  // The root file system is as podman's: the mount points are made by the namespace's root, who may write there since he is root.
  chownSync(bundle.rootfs, 100_000, 100_000);
  chmodSync(bundle.rootfs, 0o555);
  const volume = join(folder, "mapped");
  mkdirSync(volume);
  writeFileSync(join(volume, "roots"), "");
  const linux = bundle.spec.linux ?? {};
  linux.namespaces?.push({ type: "user" });
  linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const own = [{ containerID: 0, hostID: 100_007, size: 1 }];
  const capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE"];
  bundle.process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
  bundle.spec.mounts?.push(
    { destination: "/plain", source: volume, options: ["bind"] },
    { destination: "/mapped", source: volume, options: ["bind", "idmap"] },
    { destination: "/own", source: volume, options: ["bind", "ro"], uidMappings: own, gidMappings: own },
  );
  const script =
    "stat -c %u:%g /*/roots; touch /plain/x; touch /mapped/made; busybox chown 5:6 /mapped/made; stat -c %u:%g /*/made; " +
    "mkdir /mapped/of-5; busybox chown 5 /mapped/of-5; touch /mapped/of-5/made && stat -c %u:%g /mapped/of-5/made";
  bundle.spec.process = { ...bundle.spec.process, cwd: "/", args: ["sh", "-c", script] };
  bundle.write();
  const { stdout, stderr } = await host.run(["run", "-b", bundle.directory, host.id()]);
  assert.equal(stdout, "0:0\n7:7\n65534:65534\n5:6\n65534:65534\n65534:65534\n0:0\n", stderr);
  assert.match(stderr, /\/plain\/x: Permission denied/);
  const { uid, gid } = statSync(join(volume, "made"));
  assert.deepEqual([uid, gid], [5, 6]);
});

test("a user makes files where only another group of his may write", async () => {
  using bundle = new Bundle([
    "sh",
    "-c",
    "cd /group; touch file; mkdir folder; busybox ln -s x link; stat -c '%n %u:%g %a' *",
  ]);
  const volume = join(folder, "group");
  mkdirSync(volume);
  chownSync(volume, 0, 50);
  chmodSync(volume, 0o770);
  bundle.process.user = { uid: 1234, gid: 1234, additionalGids: [50] };
  bundle.spec.mounts?.push({ destination: "/group", source: volume, options: ["bind"] });
  bundle.write();
  const { stdout, stderr } = await host.run(["run", "-b", bundle.directory, host.id()]);
  assert.equal(stdout, "file 1234:1234 644\nfolder 1234:1234 755\nlink 1234:1234 777\n", stderr);
});

test("a volume's access lists hold in a container", async () => {
  using bundle = new Bundle();
  const listed = join(folder, "listed");
  mkdirSync(listed);
  chmodSync(folder, 0o755);
  for (const name of ["one", "group"]) writeFileSync(join(listed, name), `${name}\n`, { mode: 0o600 });
  chownSync(join(listed, "group"), 0, 4321);
  const setAccessList = (...args: string[]) => execFileSync("setfacl", args, { cwd: listed });
  setAccessList("-m", "u:1234:rx,d:u:1234:rw,o::x", ".");
  setAccessList("-m", "u:1234:r,g::-", "one", "group");
  bundle.spec.mounts?.push({ destination: "/listed", source: listed, options: ["bind"] });
  const id = await host.start(bundle.write());
  const as = (user: string, ...command: string[]) => host.run(["exec", "--user", user, id, ...command]);
  assert.equal((await as("1234:1234", "cat", "/listed/one", "/listed/group")).stdout, "one\ngroup\n");
  // The mode has the mask in place of the group.
  assert.match((await as("5:4321", "cat", "/listed/group")).stderr, /Permission denied/);
  await host.ok(["exec", id, "sh", "-c", "umask 077; echo made > /listed/made"]);
  assert.equal((await as("1234:1234", "cat", "/listed/made")).stdout, "made\n");
  assert.match(execFileSync("getfacl", ["-cpn", join(listed, "made")], { encoding: "utf8" }), /^user:1234:rw-$/m);
  await host.ok(["delete", "--force", id]);
});

test("a container mounts an overlay on its root file system, whose whiteouts and opaque directories work", async () => {
  const script = `
    mkdir -p /o/low/d /o/up /o/work /o/m; echo low > /o/low/f; echo x > /o/low/gone; echo x > /o/low/d/hidden
    mount -t overlay overlay -o lowerdir=/o/low,upperdir=/o/up,workdir=/o/work /o/m && cd /o/m || exit 1
    echo up >> f; busybox rm -r gone d; mkdir d; busybox mv d e; ls . e; cat f; cat /o/low/f; stat -c %t:%T /o/up/gone
    busybox mknod null c 1 3; echo x > null; cat null; ls /o/low`;
  using bundle = new Bundle(["sh", "-c", script]);
  const capabilities = ["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_DAC_OVERRIDE"];
  bundle.process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
  bundle.write();
  const { stdout, stderr } = await host.run(["run", "-b", bundle.directory, host.id()]);
  assert.equal(stdout, ".:\ne\nf\n\ne:\nlow\nup\nlow\n0:0\nd\nf\ngone\n", stderr);
});

test("what a container of a pod had of the host is let go when the container is deleted", async () => {
  using pod = new Bundle();
  pod.spec.annotations = { "io.kubernetes.cri-o.ContainerType": "sandbox" };
  const podId = await host.start(pod.write());
  const { pid } = JSON.parse(await host.ok(["state", podId])) as { pid: number };
  using bundle = new Bundle();
  const volume = mkdtempSync(join(folder, "let-go-"));
  for (let file = 0; file < 50; file++) {
    for (const directory of [volume, bundle.rootfs]) writeFileSync(join(directory, `file-${file}`), "");
  }
  const namespaces = bundle.spec.linux?.namespaces ?? [];
  bundle.spec.linux = {
    ...bundle.spec.linux,
    namespaces: namespaces.map(({ type }) => (type === "network" ? { type, path: `/proc/${pid}/ns/net` } : { type })),
  };
  bundle.spec.mounts?.push({ destination: "/volume", source: volume, options: ["bind"] });
  const before = descriptorsOfVirtiofsd(pid);
  const id = await host.start(bundle.write());
  await host.ok(["exec", id, "sh", "-c", "stat /file-* /volume/file-* >/dev/null"]);
  // One that can keeps names of files that the kernel opens (open_by_handle_at(2)) in their place.
  const byHandle = virtiofsdsOf(pid).some((each) =>
    readFileSync(`/proc/${each}/cmdline`, "latin1").includes("handles="),
  );
  assert.ok(byHandle || descriptorsOfVirtiofsd(pid) >= before + 100);
  await host.ok(["delete", "--force", id]);
  await until(() => descriptorsOfVirtiofsd(pid) < before + 10);
  await host.ok(["delete", "--force", podId]);
});

/** Of the processes that the sandbox's daemon has started, and theirs. */
function virtiofsdsOf(daemon: number): string[] {
  const children = readFileSync(`/proc/${daemon}/task/${daemon}/children`, "latin1").split(" ").filter(Boolean);
  return children.flatMap((child) => {
    const isVirtiofsd = readFileSync(`/proc/${child}/comm`, "latin1").startsWith("virtiofsd");
    return [...(isVirtiofsd ? [child] : []), ...virtiofsdsOf(Number(child))];
  });
}

function descriptorsOfVirtiofsd(daemon: number): number {
  return virtiofsdsOf(daemon).reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
}
