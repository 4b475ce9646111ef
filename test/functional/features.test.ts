import assert from "node:assert/strict";
import { after, test } from "node:test";
import { CAPABILITIES } from "../../protocol/capabilities.ts";
import { Host } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("features prints JSON of what is carried out", async () => {
  const features = JSON.parse(await host.ok(["features"]));
  assert.equal(features.ociVersionMin, "1.0.0");
  assert.equal(features.ociVersionMax, "1.2.0");
  assert.ok(features.mountOptions.includes("rbind"));
  assert.deepEqual(features.linux.capabilities, CAPABILITIES);
  assert.deepEqual(features.linux.namespaces, ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]);
  assert.equal(features.linux.cgroup.v2, true);
  assert.equal(features.linux.cgroup.systemd, true);
});

test("features takes no arguments", async () => {
  assert.equal((await host.run(["features", "x"])).exitCode, 1);
});
