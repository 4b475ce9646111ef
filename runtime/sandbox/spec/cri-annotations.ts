/** What CRI engines write into a container's annotations about its pod: containerd's and CRI-O's. */
const SANDBOX_ID = ["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"];

/** The pod that a container belongs to; undefined for one that is on its own. */
export function podOf(annotations: Readonly<Record<string, string>> | undefined): string | undefined {
  return SANDBOX_ID.map((name) => annotations?.[name]).find((id) => id !== undefined && id !== "");
}
