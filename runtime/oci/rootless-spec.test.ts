import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultSpec } from "./default-spec.ts";
import { rootlessSpec } from "./rootless-spec.ts";
import { validateConfig } from "./validate.ts";

test("rootlessSpec has one user and one group, and names no other", () => {
  const spec = rootlessSpec(1000, 100);
  assert.deepEqual(validateConfig(spec, "the rootless one"), spec);
  assert.deepEqual(spec.linux?.namespaces, [...(defaultSpec().linux?.namespaces ?? []), { type: "user" }]);
  assert.deepEqual(spec.linux?.uidMappings, [{ containerID: 0, hostID: 1000, size: 1 }]);
  assert.deepEqual(spec.linux?.gidMappings, [{ containerID: 0, hostID: 100, size: 1 }]);
  assert.doesNotMatch(JSON.stringify(spec.mounts), /[ug]id=/);
  assert.equal(spec.mounts?.length, defaultSpec().mounts?.length);
});
