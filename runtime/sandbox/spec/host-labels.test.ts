import assert from "node:assert/strict";
import { test } from "node:test";
import { dropLabels, dropProcessLabels } from "./host-labels.ts";

for (const profile of ["docker-default", "containers-default-0.50.1", "cri-containerd.apparmor.d", "unconfined"]) {
  test(`dropProcessLabels() takes out the profile ${profile}, which engines set by themselves`, () => {
    assert.deepEqual(dropProcessLabels({ args: ["sh"], apparmorProfile: profile }), { args: ["sh"] });
  });
}

test("dropLabels() takes out SELinux labels, and leaves a profile that somebody has asked for", () => {
  const document = { process: { selinuxLabel: "a:b:c:d", apparmorProfile: "mine" }, linux: { mountLabel: "a:b:c:e" } };
  assert.deepEqual(dropLabels(document), { process: { apparmorProfile: "mine" }, linux: {} });
});

test("dropLabels() leaves what is no configuration as it is", () => {
  for (const document of [null, [], "x", { process: [] }, { linux: 1 }]) {
    assert.deepEqual(dropLabels(document), document);
  }
});
