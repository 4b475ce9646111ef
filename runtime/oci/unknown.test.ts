import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultSpec } from "./default-spec.ts";
import { removeUnknown } from "./unknown.ts";

test("removeUnknown leaves the default configuration, maps and other platforms' sections as they are", () => {
  const others = { annotations: { "a.b": "c" }, vm: { x: 1 }, linux: { sysctl: { "net.x": "1" } } };
  for (const document of [defaultSpec(), others]) {
    const before = structuredClone(document);
    assert.deepEqual(removeUnknown(document, "config"), []);
    assert.deepEqual(document, before);
  }
});

test("removeUnknown removes and names them wherever they are", () => {
  const document = JSON.parse(`{
    "future": {}, "constructor": 1, "__proto__": 2,
    "mounts": [{ "destination": "/a" }, { "destination": "/b", "flavour": "x" }],
    "linux": { "resources": { "memory": { "limit": 1, "odd key": 1 } } },
    "hooks": { "prestart": [{ "path": "/a", "when": "now" }] }
  }`);
  assert.deepEqual(removeUnknown(document, "config"), [
    "future",
    "constructor",
    "__proto__",
    "mounts[1].flavour",
    'linux.resources.memory["odd key"]',
    "hooks.prestart[0].when",
  ]);
  assert.deepEqual(document, {
    mounts: [{ destination: "/a" }, { destination: "/b" }],
    linux: { resources: { memory: { limit: 1 } } },
    hooks: { prestart: [{ path: "/a" }] },
  });
});

test("removeUnknown names fields of a process from process", () => {
  const process = { cwd: "/", user: { uid: 0, shell: "sh" } };
  assert.deepEqual(removeUnknown(process, "process"), ["process.user.shell"]);
  assert.deepEqual(process, { cwd: "/", user: { uid: 0 } });
});
