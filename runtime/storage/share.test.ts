import assert from "node:assert/strict";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { mount, umount } from "../../native/posix/index.ts";
import { enterPrivateMountNamespace } from "./mount-namespace.ts";
import { Share } from "./share.ts";

const root = process.getuid?.() === 0;
const options = { skip: !root && "needs root" };
const folder = mkdtempSync(join(tmpdir(), "caisson-share-"));
const bundle = join(folder, "bundle");
const spec = {
  ociVersion: "1.0.2",
  root: { path: "rootfs" },
  mounts: [
    { destination: "/rw", source: join(bundle, "volume"), options: ["bind"] },
    { destination: "/ro", source: join(bundle, "volume"), options: ["bind", "ro"] },
  ],
};
before(() => {
  if (root) enterPrivateMountNamespace();
  for (const name of ["rootfs", "volume"]) mkdirSync(join(bundle, name), { recursive: true });
  writeFileSync(join(bundle, "volume", "file"), "");
});
after(() => rmSync(folder, { recursive: true }));

const add = (share: Share) => share.addContainer("one", spec, bundle, join(bundle, "rootfs"));

test("Share uses no name twice, and leaves nothing of a container that is removed", options, () => {
  const share = new Share(join(folder, "again"));
  const first = add(share);
  share.removeContainer("one");
  const second = add(share);
  assert.notEqual(first.root?.path, second.root?.path);
  assert.notEqual(first.mounts?.[0]?.source, second.mounts?.[0]?.source);
  share.removeContainer("one");
  assert.deepEqual(readdirSync(share.directory), ["~volumes"]);
  assert.equal(existsSync(join(bundle, "volume", "file")), true);
  share.close();
});

test("Share serves its own folders read-only, and mounts as they are to be", options, () => {
  const share = new Share(join(folder, "served"));
  const { root: own, mounts = [] } = add(share);
  const served = (path = "") => join(share.served, path.replace("/run/caisson/share", ""));
  const write = (path: string) => writeFileSync(join(path, "new"), "");
  assert.throws(() => write(share.served), { code: "EROFS" });
  write(served(own?.path));
  write(served(mounts[0]?.source));
  assert.throws(() => write(served(mounts[1]?.source)), { code: "EROFS" });
  share.close();
});

const map = (containerID: number, hostID: number, size: number) => [{ containerID, hostID, size }];

test(
  "Share maps the ids of a mount both ways, in virtiofsd's view, too, and apart from others of the directory",
  options,
  () => {
    chownSync(join(bundle, "volume", "file"), 1, 2);
    const source = join(bundle, "volume");
    const mounts = [
      { destination: "/plain", source, options: ["bind"] },
      { destination: "/own", source, options: ["bind"], uidMappings: map(0, 5000, 10), gidMappings: map(0, 7000, 10) },
      { destination: "/containers", source, options: ["bind", "ro", "idmap"] },
    ];
    const linux = { uidMappings: map(0, 100_000, 65_536), gidMappings: map(0, 200_000, 65_536) };
    const share = new Share(join(folder, "mapped"));
    const given = share.addContainer("one", { ...spec, mounts, linux }, bundle, join(bundle, "rootfs"));
    assert.deepEqual(
      given.mounts?.map(({ source: _, ...mount }) => mount),
      [
        { destination: "/plain", options: ["bind"] },
        { destination: "/own", options: ["bind"] },
        { destination: "/containers", options: ["bind", "ro"] },
      ],
    );
    const [plain = "", own = "", containers = ""] = (given.mounts ?? []).map((mount) =>
      join(share.served, mount.source?.replace("/run/caisson/share", "") ?? ""),
    );
    const owner = (path: string) => [statSync(path).uid, statSync(path).gid];
    assert.deepEqual(owner(join(plain, "file")), [1, 2]);
    assert.deepEqual(owner(join(own, "file")), [5001, 7002]);
    assert.deepEqual(owner(join(containers, "file")), [100_001, 200_002]);
    chownSync(join(own, "file"), 5003, 7004);
    assert.deepEqual(owner(join(source, "file")), [3, 4]);
    assert.throws(() => chownSync(join(own, "file"), 9, 9), { code: "EOVERFLOW" });
    share.close();
  },
);

test(
  "Share maps what is mounted below when told so, and names a mount whose file system cannot be mapped",
  options,
  () => {
    const below = join(bundle, "volume", "below");
    mkdirSync(below);
    mount("tmpfs", below, "tmpfs", 0, "uid=3");
    const share = new Share(join(folder, "below"));
    const mapped = (id: string, source: string, ...options: string[]) => {
      const one = { destination: "/x", source, options, uidMappings: map(0, 5000, 10), gidMappings: map(0, 5000, 10) };
      const given = share.addContainer(id, { ...spec, mounts: [one] }, bundle, join(bundle, "rootfs"));
      return join(share.served, given.mounts?.[0]?.source?.replace("/run/caisson/share", "") ?? "");
    };
    assert.equal(statSync(join(mapped("a", join(bundle, "volume"), "rbind", "ridmap"), "below")).uid, 5003);
    assert.equal(statSync(join(mapped("b", join(bundle, "volume"), "rbind", "idmap"), "below")).uid, 3);
    assert.throws(() => mapped("c", "/proc", "bind"), {
      code: "CAISSON_E_STORAGE",
      message: /^mounts\[0\]\.source: .*\/proc.*EINVAL/,
    });
    share.close();
    umount(below, 0);
  },
);
