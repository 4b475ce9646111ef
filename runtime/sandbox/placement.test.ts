import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { defaultSpec } from "../oci/default-spec.ts";
import { isOfPod, readPlaced } from "./placement.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-labels-"));
after(() => rmSync(folder, { recursive: true }));

test("a bundle as Docker and podman write it on a host with AppArmor and SELinux can be created from the command line", () => {
  mkdirSync(join(folder, "rootfs"));
  const spec = defaultSpec();
  Object.assign(spec.process ?? {}, { apparmorProfile: "docker-default", selinuxLabel: "system_u:system_r:c_t:s0" });
  Object.assign(spec.linux ?? {}, { mountLabel: "system_u:object_r:c_file_t:s0" });
  writeFileSync(join(folder, "config.json"), JSON.stringify(spec));
  const { config } = readPlaced(folder, join(folder, "root"));
  assert.deepEqual(
    [config.process?.apparmorProfile, config.process?.selinuxLabel, config.linux?.mountLabel],
    [undefined, undefined, undefined],
  );
  Object.assign(spec.process ?? {}, { apparmorProfile: "my-profile" });
  writeFileSync(join(folder, "config.json"), JSON.stringify(spec));
  assert.throws(
    () => readPlaced(folder, join(folder, "root")),
    /process\.apparmorProfile: .* without that security module/,
  );
});

test("isOfPod() tells the container that holds a pod's namespaces from those in the pod", () => {
  const pod = "a".repeat(64);
  const manager = { "io.container.manager": "libpod" };
  const of = (cgroupsPath: string, annotations: Record<string, string>) =>
    isOfPod({ ...defaultSpec(), annotations, linux: { ...defaultSpec().linux, cgroupsPath } });
  assert.equal(of(`/libpod_parent/${pod}/libpod-${pod}`, manager), true);
  assert.equal(of(`machine-libpod_pod_${pod}.slice:libpod:${pod}`, manager), true);
  assert.equal(of(`/libpod_parent/${pod}/libpod-${pod}`, { ...manager, "io.kubernetes.cri-o.SandboxID": "x" }), false);
  assert.equal(of(`/libpod_parent/libpod-${pod}`, manager), false);
  assert.equal(of(`machine.slice:libpod:${pod}`, manager), false);
  assert.equal(of("", { "io.kubernetes.cri-o.ContainerType": "sandbox" }), true);
  assert.equal(of("", { "io.kubernetes.cri-o.ContainerType": "container" }), false);
  assert.equal(of("", { "io.kubernetes.cri.container-type": "sandbox" }), true);
  assert.equal(of("", {}), false);
});
