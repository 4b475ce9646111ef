import assert from "node:assert/strict";
import { closeSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import type { Spec } from "../../protocol/oci.ts";
import { CONTAINER_INIT, configOf, NEEDS_ROOT, Rootfs, run } from "../../test/harness/agent/trial.ts";
import { PooledNetwork } from "./network.ts";

const options = { skip: NEEDS_ROOT };
const wanting = (namespaces: NonNullable<Spec["linux"]>["namespaces"]): Spec => ({
  ociVersion: "1.2.0",
  linux: { namespaces },
});

test(
  "the first container that wants a network namespace gets the one made ahead, its loopback interface up",
  options,
  async () => {
    const spare = new PooledNetwork(CONTAINER_INIT);
    await spare.fill();
    using rootfs = new Rootfs();
    const config = configOf("", {
      process: { args: ["sh", "-c", "readlink /proc/self/ns/net; ifconfig lo; ls /proc/sys/net/ipv4/conf"] },
    });
    const { config: joining, descriptor = assert.fail("there is none") } = spare.take(config);
    const made = readlinkSync(`/proc/self/fd/${descriptor}`);
    assert.notEqual(made, readlinkSync("/proc/self/ns/net"));
    const { stdout } = await run(rootfs, joining);
    assert.equal(stdout.split("\n")[0], made);
    assert.match(stdout, /inet addr:127\.0\.0\.1 .*\n(.*\n)* +UP LOOPBACK RUNNING/);
    assert.match(stdout, /\nall\ndefault\nlo\n$/);
    assert.equal(spare.take(wanting([{ type: "network" }])).descriptor, undefined);
    closeSync(descriptor);
  },
);

test("it is kept from a container that shares or joins one, and from one with a user namespace", options, async () => {
  const spare = new PooledNetwork(CONTAINER_INIT);
  await spare.fill();
  for (const namespaces of [
    [{ type: "mount" as const }],
    [{ type: "network" as const, path: "/proc/1/ns/net" }],
    [{ type: "network" as const }, { type: "user" as const }],
  ]) {
    const config = wanting(namespaces);
    assert.deepEqual(spare.take(config), { config: wanting(namespaces) });
  }
  const given = wanting([{ type: "network" }]);
  closeSync(spare.take(given).descriptor ?? assert.fail("there is none"));
  assert.deepEqual(given, wanting([{ type: "network" }]), "the caller's configuration is as it was");
});

test("without it a container makes its own", () => {
  const config = wanting([{ type: "network" }]);
  assert.deepEqual(new PooledNetwork("/none").take(config), { config });
});
