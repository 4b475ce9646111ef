import type { Spec } from "../../protocol/oci.ts";
import { log } from "../log.ts";
import { type Bundle, loadBundle } from "../oci/bundle.ts";
import { podDocument } from "../sandbox/pod-document.ts";
import { podOf } from "../sandbox/pod-of.ts";
import { listStates } from "../state/store.ts";

/** Which VM a container is for. */
export type Placement =
  /** Its own, which ends with it. */
  | { kind: "own" }
  /** A new one, which others will join and need longer than this container. */
  | { kind: "pod" }
  /** That of the container with this id, whose namespaces it names. */
  | { kind: "with"; id: string };

export interface PlacedBundle extends Bundle {
  placement: Placement;
  /** The network namespace as the configuration names it, for the host. */
  networkPath: string | undefined;
}

/**
 * Reads a bundle as an engine has written it. Engines name the namespaces of other containers by their pids, of which the
 * records below `root` tell whose they are. Throws as loadBundle does.
 */
export function readPlaced(directory: string, root: string): PlacedBundle {
  let joined: string | undefined;
  let networkPath: string | undefined;
  const containerOf = (pid: number): string | undefined => {
    const records = listStates(root, (reason) => log.warning(reason));
    const found = records.find(({ daemon, status }) => daemon.pid === pid && status !== "stopped")?.id;
    joined ??= found;
    return found;
  };
  const bundle = loadBundle(directory, (document) => {
    networkPath = networkPathOf(document as Spec | null);
    return podDocument(document, containerOf);
  });
  const placement: Placement =
    joined !== undefined ? { kind: "with", id: joined } : { kind: isOfPod(bundle.config) ? "pod" : "own" };
  return { ...bundle, placement, networkPath };
}

/** Of a document that may not be valid. */
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
