/** Where this process was started, as far as it has left it since: its children can be started there. */
import type { Place } from "../../native/posix/index.ts";

let mounts: { namespace: number; root: number } | undefined;
let network: number | undefined;

/** The main thread leaves its mount namespace. @param place descriptors that stay open. */
export function leaveMounts(place: { namespace: number; root: number }): void {
  mounts = place;
}

/** The main thread leaves its network namespace. @param namespace a descriptor that stays open. */
export function leaveNetwork(namespace: number): void {
  network = namespace;
}

/**
 * Where whoever started this process sees it: its mount and network namespaces. To start a child there is not to go there: engines
 * that join the namespaces of our pid at that moment, as `podman cp` does and Docker's hook, find those that they are meant to.
 */
export function callersPlace(): Place {
  const namespaces = [mounts?.namespace, network].filter((each) => each !== undefined);
  return mounts === undefined ? { namespaces } : { namespaces, root: mounts.root };
}
