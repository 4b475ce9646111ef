import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { majorVersion, runtimeName } from "./check-kubernetes.ts";

const DEPLOY = join(import.meta.dirname, "../../deploy/containerd");

test("majorVersion reads what containerd prints", () => {
  assert.equal(majorVersion("containerd containerd.io 1.6.20 2806fc1057397dbaeefbea0e4e17bddfbd388f38"), 1);
  assert.equal(
    majorVersion("containerd github.com/containerd/containerd/v2 v2.0.2 c507a0257ea6462fbd6f5ba4f5c74facb04021f4"),
    2,
  );
  assert.equal(majorVersion("containerd"), undefined);
});

for (const version of [1, 2]) {
  test(`runtimeName finds the runtime in the drop-in for containerd ${version}.x`, () => {
    assert.equal(runtimeName(readFileSync(join(DEPLOY, `caisson-${version}.toml`), "utf8")), "caisson");
  });
}

test("runtimeName finds nothing where there is none", () => {
  assert.equal(runtimeName(""), undefined);
  assert.equal(runtimeName("version = 2\n[plugins]\n"), undefined);
  assert.equal(
    runtimeName('[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\nruntime_type = "x"\n'),
    undefined,
  );
  assert.equal(runtimeName("no TOML"), undefined);
});
