import { statSync } from "node:fs";
import { CaissonError } from "../../protocol/errors.ts";
import type { Spec } from "../../protocol/oci.ts";
import type { Bundle } from "../oci/bundle.ts";
import { readOwnGroups } from "../oci/kept-groups.ts";
import type { StateRecord } from "../state/record.ts";
import { listStates } from "../state/store.ts";
import { log } from "../text/log.ts";
import { podOf } from "./spec/cri-annotations.ts";
import { readBundle } from "./spec/read-bundle.ts";

/** Which VM a container is for. */
export type Placement =
  /** The container's own, which ends with it. */
  | { kind: "own" }
  /** A new one, which others will join and need longer than this container. */
  | { kind: "pod" }
  /** The VM of the container with this id, whose namespaces it names. */
  | { kind: "with"; id: string };

export interface PlacedBundle extends Bundle {
  placement: Placement;
  /** The network namespace as the configuration names it, for the host. */
  networkPath: string | undefined;
}

/**
 * Reads a bundle as an engine has written it. Engines name the namespaces of other containers by their pids, of which the
 * records below `root` tell whose they are.
 * @throws CaissonError as readBundle does; CAISSON_E_NETWORK for a network namespace that another container's VM has.
 */
export function readPlaced(directory: string, root: string): PlacedBundle {
  let joined: string | undefined;
  let networkPath: string | undefined;
  let records: StateRecord[] | undefined;
  const living = (): StateRecord[] => {
    records ??= listStates(root, (reason) => log.warning(reason)).filter(({ status }) => status !== "stopped");
    return records;
  };
  const containerOf = (pid: number): string | undefined => {
    const found = living().find(({ daemon }) => daemon.pid === pid)?.id;
    joined ??= found;
    return found;
  };
  const complete = (document: unknown): unknown => {
    networkPath = networkPathOf(document as Spec | null);
    return document;
  };
  // This process has the groups of whoever asked for the container.
  const bundle = readBundle(directory, { containerOf, complete, groups: readOwnGroups() });
  if (joined === undefined && networkPath !== undefined) requireUnused(networkPath, living());
  const placement: Placement =
    joined !== undefined ? { kind: "with", id: joined } : { kind: isOfPod(bundle.config) ? "pod" : "own" };
  return { ...bundle, placement, networkPath };
}

/** Two VMs in one namespace would not reach each other on its loopback, and its interfaces have room for one. */
function requireUnused(path: string, living: readonly StateRecord[]): void {
  const wanted = namespaceAt(path);
  // Entering it will say what is wrong with it.
  if (wanted === undefined) return;
  for (const { id, daemon } of living) {
    const theirs = `/proc/${daemon.pid}/ns/net`;
    if (namespaceAt(theirs) !== wanted) continue;
    throw new CaissonError(
      "CAISSON_E_NETWORK",
      `linux.namespaces[network].path: ${path} is the network namespace of container ${id}, whose VM has it`,
      {
        field: "linux.namespaces[network].path",
        remedy: `Give each container a network namespace of its own, or name ${theirs} to run this one in that VM.`,
      },
    );
  }
}

/** What tells a namespace from all others (namespaces(7)). */
function namespaceAt(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/** The path of the network namespace that a document names, which may not be valid. */
function networkPathOf(document: Spec | null): string | undefined {
  const namespaces: unknown = document?.linux?.namespaces;
  if (!Array.isArray(namespaces)) return undefined;
  const path: unknown = namespaces.find((namespace) => namespace?.type === "network")?.path;
  return typeof path === "string" && path !== "" ? path : undefined;
}

/** podman's cgroups of a pod's containers, with its two cgroup managers. */
const LIBPOD_POD = /(?:^|\/)[0-9a-f]{64}\/libpod-[0-9a-f]{64}$|-libpod_pod_[0-9a-f]{64}\.slice:libpod:/;

/**
 * Whether the container is the one that holds a pod's namespaces: CRI engines say so; podman's is in a pod and has no
 * annotation that names the container which it belongs to.
 */
export function isOfPod({ annotations = {}, linux }: Spec): boolean {
  const type = annotations["io.kubernetes.cri.container-type"] ?? annotations["io.kubernetes.cri-o.ContainerType"];
  if (type !== undefined) return type === "sandbox";
  const isLibpods = annotations["io.container.manager"] === "libpod";
  return isLibpods && podOf(annotations) === undefined && LIBPOD_POD.test(linux?.cgroupsPath ?? "");
}
