import type { PodNames } from "../../metrics/measurement.ts";

/** What CRI engines write into a container's annotations about its pod: containerd's and CRI-O's. */
const SANDBOX_ID = ["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"];

/** The pod that a container belongs to; undefined for one that is on its own. */
export function podOf(annotations: Readonly<Record<string, string>> | undefined): string | undefined {
  return SANDBOX_ID.map((name) => annotations?.[name]).find((id) => id !== undefined && id !== "");
}

/** The pod's names, the same engines'; a pod that an engine has not named has none. */
const NAMES: readonly Readonly<Record<keyof PodNames, string>>[] = [
  {
    name: "io.kubernetes.cri.sandbox-name",
    namespace: "io.kubernetes.cri.sandbox-namespace",
    uid: "io.kubernetes.cri.sandbox-uid",
  },
  { name: "io.kubernetes.pod.name", namespace: "io.kubernetes.pod.namespace", uid: "io.kubernetes.pod.uid" },
];

/** The pod that a container belongs to, as Kubernetes knows it; undefined for one that is in none. */
export function podNames(annotations: Readonly<Record<string, string>> | undefined): PodNames | undefined {
  for (const keys of NAMES) {
    const name = annotations?.[keys.name];
    if (name === undefined) continue;
    return { name, namespace: annotations?.[keys.namespace] ?? "", uid: annotations?.[keys.uid] ?? "" };
  }
  return undefined;
}
