import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultSpec } from "./default-spec.ts";
import { unknownProperties } from "./unknown.ts";

test("unknownProperties finds none in the default configuration, nor in maps and other platforms' sections", () => {
  assert.deepEqual(unknownProperties(defaultSpec()), []);
  assert.deepEqual(
    unknownProperties({ annotations: { "a.b": "c" }, vm: { x: 1 }, linux: { sysctl: { "net.x": "1" } } }),
    [],
  );
});

test("unknownProperties names them wherever they are", () => {
  const document = {
    future: {},
    mounts: [{ destination: "/a" }, { destination: "/b", flavour: "x" }],
    linux: { resources: { memory: { "odd key": 1 } } },
    hooks: { prestart: [{ path: "/a", when: "now" }] },
  };
  assert.deepEqual(unknownProperties(document), [
    "future",
    "mounts[1].flavour",
    'linux.resources.memory["odd key"]',
    "hooks.prestart[0].when",
  ]);
});
