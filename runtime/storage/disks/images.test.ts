import assert from "node:assert/strict";
import { test } from "node:test";
import type { Mount, Spec } from "../../../protocol/oci.ts";
import { withDiskImages } from "./images.ts";

const spec = (text: string | undefined, ...mounts: Mount[]): Spec => ({
  ociVersion: "1.2.0",
  mounts,
  ...(text !== undefined && { annotations: { "io.caisson.disk_images": text } }),
});
const bound = (destination: string, ...more: string[]): Mount => ({
  destination,
  type: "bind",
  source: "/image",
  options: ["rbind", "rprivate", ...more],
});

test("withDiskImages makes what the annotation names file systems and block devices", () => {
  const other = bound("/other");
  const config = spec(" /data=ext4\n/dev/raw", other, bound("/data", "ro", "nosuid"), bound("/dev/raw"));
  assert.deepEqual(withDiskImages(config).mounts, [
    other,
    { destination: "/data", type: "ext4", source: "/image", options: ["ro", "nosuid", "loop"] },
    { destination: "/dev/raw", type: "bind", source: "/image", options: ["rbind", "rprivate", "loop"] },
  ]);
});

test("withDiskImages leaves a configuration without the annotation as it is", () => {
  const config = spec(undefined, bound("/data"));
  assert.equal(withDiskImages(config), config);
});

test("withDiskImages takes the last of the mounts at a place, and a name with an equals sign", () => {
  const config = spec("/a=b=xfs", { destination: "/a=b", type: "tmpfs" }, bound("/a=b"), bound("/a=b", "ro"));
  assert.deepEqual(
    withDiskImages(config).mounts?.map(({ type }) => type),
    ["tmpfs", "bind", "xfs"],
  );
});

test("withDiskImages passes over what another container of the pod has", () => {
  const config = spec("/elsewhere=ext4 /data=xfs", bound("/data"));
  const annotations = { ...config.annotations, "io.kubernetes.cri.container-type": "container" };
  assert.equal(withDiskImages({ ...config, annotations }).mounts?.[0]?.type, "xfs");
});

test("withDiskImages refuses what is no bind mount, and file systems that no disk has", () => {
  for (const [text, message] of [
    ["/none=ext4", /^annotations\["io.caisson.disk_images"\]: there is no bind mount at "\/none"$/],
    ["/data=tmpfs", /"tmpfs" is no file system of disks$/],
    ["/data=", /"" is no file system of disks$/],
  ] as const) {
    assert.throws(() => withDiskImages(spec(text, bound("/data"))), { code: "CAISSON_E_CONFIG_INVALID", message });
  }
});
