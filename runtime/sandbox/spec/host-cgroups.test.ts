import assert from "node:assert/strict";
import { test } from "node:test";
import { dropHostCgroups } from "./host-cgroups.ts";

const HOSTS = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/memory"];
const cgroup = (...options: string[]) => ({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options });
const bound = (name: string, ...options: string[]) => ({
  destination: `/sys/fs/cgroup/${name}`,
  type: "bind",
  source: `/sys/fs/cgroup/${name}`,
  options: ["bind", ...options],
});
const other = { destination: "/data", type: "bind", source: "/sys/fs/cgroup/systemd", options: ["bind"] };

test("dropHostCgroups has podman's systemd use the guest's hierarchy in place of the host's", () => {
  const document = {
    mounts: [cgroup("nosuid", "ro"), bound("systemd", "rprivate"), other],
    linux: { namespaces: [{ type: "pid" }] },
  };
  assert.deepEqual(dropHostCgroups(document, HOSTS), {
    mounts: [cgroup("nosuid"), other],
    linux: { namespaces: [{ type: "pid" }, { type: "cgroup" }] },
  });
});

test("dropHostCgroups leaves what is read only so, and everything else", () => {
  const document = { mounts: [cgroup("ro"), bound("memory", "ro"), bound("mine")], linux: {} };
  assert.deepEqual(dropHostCgroups(document, HOSTS), { mounts: [cgroup("ro"), bound("mine")], linux: {} });
  const wrongs = [{}, { mounts: 1, linux: {} }, { mounts: [null, 3, {}], linux: {} }, { mounts: [bound("memory")] }];
  for (const wrong of wrongs) {
    assert.equal(dropHostCgroups(wrong, HOSTS), wrong);
  }
  for (const namespaces of ["none", [null]]) {
    dropHostCgroups({ mounts: [null, { ...cgroup(), options: 3 }, bound("memory")], linux: { namespaces } }, HOSTS);
  }
});
