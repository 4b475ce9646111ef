import assert from "node:assert/strict";
import { test } from "node:test";
import { isInGuest } from "../../../protocol/guest-contract.ts";
import type { Namespace } from "../../../protocol/oci.ts";
import { BoundNamespaces, podNamespaces } from "./pod-namespaces.ts";

const containerOf = (pid: number) => (pid === 42 ? "pause" : undefined);

test("podNamespaces turns the host's path of a pod's container into the guest's", () => {
  const given: Namespace[] = [
    { type: "ipc", path: "/proc/42/ns/ipc" },
    { type: "network", path: "/proc/42/ns/net" },
    { type: "mount" },
  ];
  const turned = podNamespaces(given, containerOf);
  assert.deepEqual(turned, [
    { type: "ipc", path: "/run/caisson/containers/pause/ns/ipc" },
    { type: "network", path: "/run/caisson/containers/pause/ns/network" },
    { type: "mount" },
  ]);
  assert.equal(isInGuest(turned[0]?.path ?? ""), true);
});

test("podNamespaces leaves other paths as they are", () => {
  const others: Namespace[] = [
    { type: "ipc", path: "/proc/43/ns/ipc" },
    { type: "ipc", path: "/proc/42/ns/uts" },
    { type: "network", path: "/var/run/netns/cni-1" },
    { type: "pid", path: "/proc/42/ns/../ns/pid" },
    { type: "uts", path: "" },
  ];
  assert.deepEqual(podNamespaces(others, containerOf), others);
});

test("BoundNamespaces: the first container has a namespace of its own for each file, which the others join", () => {
  const bound = new BoundNamespaces();
  const given: Namespace[] = [
    { type: "ipc", path: "/var/run/ipcns/1" },
    { type: "uts", path: "/var/run/utsns/1" },
    { type: "user", path: "/var/run/userns/1" },
    { type: "network", path: "/var/run/netns/1" },
    { type: "pid", path: "/var/run/pidns/1" },
    { type: "mount" },
  ];
  const left = given.slice(3);
  assert.deepEqual(bound.inGuest(given, "pod"), [{ type: "ipc" }, { type: "uts" }, { type: "user" }, ...left]);
  assert.deepEqual(bound.inGuest(given, "other"), [
    { type: "ipc", path: "/run/caisson/containers/pod/ns/ipc" },
    { type: "uts", path: "/run/caisson/containers/pod/ns/uts" },
    { type: "user", path: "/run/caisson/containers/pod/ns/user" },
    ...left,
  ]);
  const byPid: Namespace[] = [{ type: "ipc", path: "/proc/42/ns/ipc" }];
  assert.deepEqual(bound.inGuest(byPid, "other"), byPid);
});
