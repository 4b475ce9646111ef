import assert from "node:assert/strict";
import { test } from "node:test";
import type { Mount, Spec } from "../../protocol/oci.ts";
import { takeDevices } from "./guest-devices.ts";

const DEV: Mount = { destination: "/dev", type: "bind", source: "/dev", options: ["rbind", "rw"] };
const spec = (...mounts: Mount[]): Spec => ({ ociVersion: "1.2.0", mounts });
const onlyFuse = (path: string) => (path === "/dev/fuse" ? 0o660 : undefined);
const kinds = ({ mounts }: Spec) => mounts?.map(({ destination, type }) => `${destination} ${type}`);

test("takeDevices has a folder of the guest's in place of the host's /dev, with what is mounted below it", () => {
  const proc: Mount = { destination: "/proc", type: "proc" };
  const shm: Mount = { destination: "/dev/shm", type: "bind", source: "/run/shm", options: ["bind"] };
  const found = takeDevices(spec(proc, DEV, shm), onlyFuse);
  assert.deepEqual(kinds(found), [
    "/proc proc",
    "/dev tmpfs",
    "/dev/pts devpts",
    "/dev/mqueue mqueue",
    "/dev/shm bind",
  ]);
  assert.deepEqual(found.linux?.devices, [{ path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o660 }]);
});

test("takeDevices keeps a configured device, and a read-only /dev read-only", () => {
  const own = { path: "/dev/fuse", type: "c" as const, major: 10, minor: 229, fileMode: 0o600 };
  const config = { ...spec({ ...DEV, options: ["bind", "ro"] }), linux: { devices: [own] } };
  const found = takeDevices(config, onlyFuse);
  assert.deepEqual(found.linux?.devices, [own]);
  assert.deepEqual(kinds(found), ["/dev tmpfs"]);
  assert.ok(found.mounts?.[0]?.options?.includes("ro"));
});

test("takeDevices leaves all else alone: other destinations, other sources, and a /dev that is covered again", () => {
  const tmpfs: Mount = { destination: "/dev", type: "tmpfs", source: "tmpfs" };
  for (const config of [
    spec(),
    spec({ ...DEV, destination: "/host/dev" }),
    spec({ ...DEV, source: "/srv/dev" }),
    spec(DEV, tmpfs),
    spec(tmpfs),
  ]) {
    assert.equal(takeDevices(config, onlyFuse), config);
  }
});
