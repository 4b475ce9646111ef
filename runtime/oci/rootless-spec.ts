/** The configuration that `caisson spec --rootless` writes: the default one whose root is an ordinary user of the host. */
import type { Spec } from "../../protocol/oci.ts";
import { defaultSpec } from "./default-spec.ts";

/**
 * The container's root is this user and group, the only ones that its user namespace has. As in what `runc spec --rootless`
 * writes no mount names another one. The network namespace stays: the VM has no other network than that one's.
 */
export function rootlessSpec(uid: number, gid: number): Spec {
  const spec = defaultSpec();
  const names = /^[ug]id=/;
  return {
    ...spec,
    mounts:
      spec.mounts?.map(({ options, ...mount }) => ({
        ...mount,
        ...(options && { options: options.filter((option) => !names.test(option)) }),
      })) ?? [],
    linux: {
      ...spec.linux,
      namespaces: [...(spec.linux?.namespaces ?? []), { type: "user" }],
      uidMappings: [{ containerID: 0, hostID: uid, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
    },
  };
}
