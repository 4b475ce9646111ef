import assert from "node:assert/strict";
import { test } from "node:test";
import type { Spec } from "../../protocol/oci.ts";
import { takeModules } from "./guest-modules.ts";
import { giveBack } from "./set-aside.ts";

const config = (source: string): Spec => ({
  ociVersion: "1.2.0",
  mounts: [{ destination: "/lib/modules", source, options: ["rbind", "ro"] }],
});

test("takeModules shows the guest's modules in the place of the host's", () => {
  for (const source of ["/lib/modules", "/usr/lib/modules"]) {
    assert.deepEqual(giveBack(takeModules(config(source))).mounts, [
      { destination: "/lib/modules", type: "bind", source: "/usr/lib/modules", options: ["bind", "ro"] },
    ]);
  }
});

test("takeModules leaves other sources alone", () => {
  for (const source of ["/lib/modules/6.1", "/srv/modules"]) {
    assert.deepEqual(giveBack(takeModules(config(source))), config(source));
  }
  assert.deepEqual(takeModules({ ociVersion: "1.2.0" }), { ociVersion: "1.2.0" });
});
