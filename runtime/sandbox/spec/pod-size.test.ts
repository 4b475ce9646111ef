import assert from "node:assert/strict";
import { test } from "node:test";
import type { Spec } from "../../../protocol/oci.ts";
import { parseSettings } from "../../config/load.ts";
import { podOf } from "./cri-annotations.ts";
import { podSize } from "./pod-size.ts";

const settings = parseSettings("", "none");
const host = { memoryMib: 65_536, vcpus: 16 };

function pod(annotations: Record<string, string>): Spec {
  return { ociVersion: "1.0.2", annotations: { "io.kubernetes.cri.sandbox-id": "p", ...annotations } };
}

test("podOf reads containerd's and CRI-O's annotation", () => {
  assert.equal(podOf({ "io.kubernetes.cri.sandbox-id": "abc" }), "abc");
  assert.equal(podOf({ "io.kubernetes.cri-o.SandboxID": "def" }), "def");
  assert.equal(podOf({ "io.kubernetes.cri.sandbox-id": "" }), undefined);
  assert.equal(podOf({ other: "x" }), undefined);
  assert.equal(podOf(undefined), undefined);
});

test("podSize takes the pod's sums, with room for the guest itself", () => {
  const size = podSize(
    pod({
      "io.kubernetes.cri.sandbox-cpu-quota": "250000",
      "io.kubernetes.cri.sandbox-cpu-period": "100000",
      "io.kubernetes.cri.sandbox-memory": String(3 * 1024 ** 3),
    }),
    settings,
    host,
  );
  assert.deepEqual(size, { vcpus: 4, memoryMib: 4096 });
});

test("podSize takes CRI-O's sums, which are JSON, under both names", () => {
  const sums = JSON.stringify({ cpu_period: 100000, cpu_quota: 250000, memory_limit_in_bytes: 3 * 1024 ** 3 });
  for (const name of ["pod-linux-resources.crio.io", "io.kubernetes.cri-o.PodLinuxResources"]) {
    assert.deepEqual(podSize(pod({ [name]: sums }), settings, host), { vcpus: 4, memoryMib: 4096 });
    const plain = { vcpus: settings.defaultVcpus, memoryMib: settings.defaultMemoryMib };
    for (const nothing of ["null", "{}", "[1]", "no JSON", '{"memory_limit_in_bytes":-1}', '{"cpu_quota":[1]}']) {
      assert.deepEqual(podSize(pod({ [name]: nothing }), settings, host), plain, nothing);
    }
  }
});

test("podSize: no limit, no number and no annotation give the default", () => {
  const plain = podSize(pod({}), settings, host);
  assert.deepEqual(plain, { vcpus: settings.defaultVcpus, memoryMib: settings.defaultMemoryMib });
  for (const nothing of ["0", "-1", "", "many", "1e9", "99999999999999999999"]) {
    const annotations = { "io.kubernetes.cri.sandbox-memory": nothing, "io.kubernetes.cri.sandbox-cpu-quota": nothing };
    assert.deepEqual(podSize(pod(annotations), settings, host), plain);
  }
});

test("podSize of a container on its own is by its own limits", () => {
  const config: Spec = { ociVersion: "1.0.2", linux: { resources: { memory: { limit: 200 * 1024 ** 2 } } } };
  assert.deepEqual(podSize(config, settings, host), { vcpus: 1, memoryMib: 512 });
});
