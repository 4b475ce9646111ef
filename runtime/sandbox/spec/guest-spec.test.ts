import assert from "node:assert/strict";
import { test } from "node:test";
import type { Spec } from "../../../protocol/oci.ts";
import { takeModules } from "../../oci/guest-modules.ts";
import { takeOwnSources } from "../../oci/own-sources.ts";
import { forGuest, forShare } from "./guest-spec.ts";

const asIs = (spec: Spec) => spec;

/** No test may see its own object changed. */
function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

test("forShare has the network decided first, and CPUs in the guest's numbers", () => {
  const spec: Spec = frozen({
    ociVersion: "1.2.0",
    linux: { namespaces: [{ type: "network" }, { type: "pid" }], resources: { cpu: { cpus: "6-7", mems: "1" } } },
  });
  const inNetwork = (given: Spec): Spec => ({ ...given, linux: { ...given.linux, namespaces: [{ type: "pid" }] } });
  assert.deepEqual(forShare(spec, { vcpus: 2, inNetwork }).linux, {
    namespaces: [{ type: "pid" }],
    resources: { cpu: { cpus: "0-1", mems: "0" } },
  });
  assert.deepEqual(forShare(frozen({ ociVersion: "1.2.0" }), { vcpus: 1, inNetwork: asIs }), { ociVersion: "1.2.0" });
});

test("forGuest gives back as bind mounts what was set aside, and leaves the share's mounts alone", () => {
  const rootfs = "/none/rootfs";
  const given: Spec = frozen({
    ociVersion: "1.2.0",
    root: { path: "rootfs" },
    mounts: [
      { destination: "/a", type: "bind", source: `${rootfs}/etc`, options: ["rbind", "ro"] },
      { destination: "/lib/modules", type: "bind", source: "/lib/modules", options: ["bind"] },
      { destination: "/data", type: "bind", source: "/srv", options: ["bind"] },
    ],
  });
  const aside = frozen(takeModules(takeOwnSources(given, rootfs)));
  // What the share does with it.
  const mounts = aside.mounts?.map((each) => (each.source === "/srv" ? { ...each, source: "/run/s/m/2" } : each));
  const shared: Spec = frozen({ ...aside, root: { path: "/run/s/rootfs" }, mounts });
  assert.deepEqual(forGuest(shared).mounts, [
    { destination: "/a", type: "bind", source: "/run/s/rootfs/etc", options: ["rbind", "ro"] },
    { destination: "/lib/modules", type: "bind", source: "/usr/lib/modules", options: ["bind"] },
    { destination: "/data", type: "bind", source: "/run/s/m/2", options: ["bind"] },
  ]);
});
