import assert from "node:assert/strict";
import { test } from "node:test";
import type { NamespaceType } from "../../protocol/oci.ts";
import { resolveNamespaces } from "./namespaces.ts";

const live = {
  ofContainer: (id: string): number | undefined => (id === "c1" ? 42 : undefined),
  isInit: (pid: number): boolean => pid === 42,
};

const resolve = (type: NamespaceType, path: string): string | undefined =>
  resolveNamespaces([{ type: "pid" }, { type, path }], live)[1]?.path;

test("resolveNamespaces turns a container's name into its init's namespace", () => {
  assert.equal(resolve("network", "/run/caisson/containers/c1/ns/network"), "/proc/42/ns/net");
  assert.equal(resolve("network", "/run/caisson/containers/c1/ns/net"), "/proc/42/ns/net");
  assert.equal(resolve("ipc", "/proc/42/ns/ipc"), "/proc/42/ns/ipc");
  assert.deepEqual(resolveNamespaces([{ type: "uts" }], live), [{ type: "uts" }]);
});

test("resolveNamespaces lets no container into a namespace that is not a living container's", () => {
  const code = "CAISSON_E_CONFIG_INVALID";
  const field = "linux.namespaces[1].path";
  for (const path of ["/proc/self/ns/uts", "/run/netns/x", "/proc/42/ns/uts/../../1/ns/uts", "relative"]) {
    assert.throws(() => resolve("uts", path), { code, field }, path);
  }
  assert.throws(() => resolve("uts", "/proc/42/ns/net"), { code, field });
  assert.throws(() => resolve("uts", "/proc/1/ns/uts"), { code: "CAISSON_E_STATE", field });
  assert.throws(() => resolve("uts", "/run/caisson/containers/gone/ns/uts"), { code: "CAISSON_E_STATE", field });
});
