import assert from "node:assert/strict";
import { test } from "node:test";
import type { Spec } from "../../../protocol/oci.ts";
import { isBindMount } from "../../oci/checks/mounts.ts";
import { toGuestSpec } from "./guest-spec.ts";
import { rewriteDocument, setAside } from "./read-bundle.ts";

const asIs = (spec: Spec) => spec;

/** No test may see its own object changed. */
function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

test("toGuestSpec has the network decided before the share, and CPUs in the guest's numbers", () => {
  const spec: Spec = frozen({
    ociVersion: "1.2.0",
    linux: { namespaces: [{ type: "network" }, { type: "pid" }], resources: { cpu: { cpus: "6-7", mems: "1" } } },
  });
  const inNetwork = (given: Spec): Spec => ({ ...given, linux: { ...given.linux, namespaces: [{ type: "pid" }] } });
  const share = (given: Spec): Spec => {
    assert.deepEqual(given.linux?.namespaces, [{ type: "pid" }]);
    return given;
  };
  assert.deepEqual(toGuestSpec(spec, { vcpus: 2, inNetwork, share }).linux, {
    namespaces: [{ type: "pid" }],
    resources: { cpu: { cpus: "0-1", mems: "0" } },
  });
  const plain = frozen({ ociVersion: "1.2.0" });
  assert.deepEqual(toGuestSpec(plain, { vcpus: 1, inNetwork: asIs, share: asIs }), plain);
});

test("toGuestSpec gives back as bind mounts what setAside took, and the share sees none of it", () => {
  const rootfs = "/none/rootfs";
  const given: Spec = frozen({
    ociVersion: "1.2.0",
    root: { path: "rootfs" },
    mounts: [
      { destination: "/a", type: "bind", source: `${rootfs}/etc`, options: ["rbind", "ro"] },
      { destination: "/lib/modules", type: "bind", source: "/lib/modules", options: ["bind"] },
      { destination: "/data", type: "bind", source: "/srv", options: ["bind"] },
      // A tmpfs on every Linux host.
      { destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["rbind"] },
    ],
  });
  const share = (aside: Spec): Spec => {
    const bound = aside.mounts?.filter(isBindMount).map(({ source }) => source);
    assert.deepEqual(bound, ["/srv"]);
    const mounts = aside.mounts?.map((each) => (each.source === "/srv" ? { ...each, source: "/run/s/m/2" } : each));
    return frozen({ ...aside, root: { path: "/run/s/rootfs" }, ...(mounts && { mounts }) });
  };
  const aside = frozen(setAside(given, rootfs, { containerOf: () => undefined }));
  const { mounts = [] } = toGuestSpec(aside, { vcpus: 1, inNetwork: asIs, share });
  assert.deepEqual(mounts.slice(0, 3), [
    { destination: "/a", type: "bind", source: "/run/s/rootfs/etc", options: ["rbind", "ro"] },
    { destination: "/lib/modules", type: "bind", source: "/usr/lib/modules", options: ["bind"] },
    { destination: "/data", type: "bind", source: "/run/s/m/2", options: ["bind"] },
  ]);
  assert.match(mounts[3]?.source ?? "", /^\/run\/caisson\/shm\/\d+$/);
  assert.deepEqual(mounts[3]?.options, ["bind"]);
});

test("rewriteDocument completes an engine's document, and takes out what is the host's", () => {
  const document: unknown = frozen({
    process: { args: ["sh"], selinuxLabel: "a:b" },
    linux: { namespaces: [{ type: "ipc", path: "/proc/42/ns/ipc" }] },
  });
  const context = {
    containerOf: (pid: number) => (pid === 42 ? "pause" : undefined),
    complete: (given: unknown) => ({ ...(given as object), hostname: "pod" }),
  };
  assert.deepEqual(rewriteDocument(document, context), {
    hostname: "pod",
    process: { args: ["sh"] },
    linux: { namespaces: [{ type: "ipc", path: "/run/caisson/containers/pause/ns/ipc" }] },
  });
  for (const wrong of [null, "x", [1], { linux: 3 }]) {
    assert.deepEqual(rewriteDocument(wrong, { containerOf: () => undefined }), wrong);
  }
});
