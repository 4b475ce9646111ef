/** Images of disks that an annotation names, for those who cannot give a mount a type or options: a pod's author, podman's user. */
import { CaissonError } from "../../../protocol/errors.ts";
import type { Mount, Spec } from "../../../protocol/oci.ts";
import { isBindMount } from "../../oci/checks/mounts.ts";
import { DISK_IMAGES } from "../../oci/disk-images.ts";
import { FILE_SYSTEMS, LOOP } from "./kinds.ts";

const FIELD = `annotations["${DISK_IMAGES}"]`;
/** A pod's annotations are those of each of its containers, which need not have the mount. */
const OF_PODS = "io.kubernetes.";
/** What is about binding, and nothing to a file system's mount. */
const OF_BINDS: readonly string[] = ["bind", "rbind", ..."rprivate private rslave slave rshared shared".split(" ")];

/**
 * The configuration with the mounts as the annotation means them: `/data=ext4 /dev/raw` makes the file that is bound at /data the image of an
 * ext4, which the container has mounted there, and the one at /dev/raw a block device.
 * @throws CaissonError CAISSON_E_CONFIG_INVALID that names the annotation.
 */
export function withDiskImages(spec: Spec): Spec {
  const text = spec.annotations?.[DISK_IMAGES];
  if (text === undefined) return spec;
  const mounts = [...(spec.mounts ?? [])];
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    const at = word.lastIndexOf("=");
    const [destination, type] = at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
    const index = mounts.findLastIndex((mount) => mount.destination === destination && isBindMount(mount));
    const mount = mounts[index];
    if (mount === undefined && isPods(spec)) continue;
    if (mount === undefined) throw invalid(`there is no bind mount at ${JSON.stringify(destination)}`);
    if (type !== undefined && !FILE_SYSTEMS.includes(type)) {
      throw invalid(`${JSON.stringify(type)} is no file system of disks`, `Use one of ${FILE_SYSTEMS.join(", ")}.`);
    }
    mounts[index] = imageMount(mount, type);
  }
  return { ...spec, mounts };
}

function isPods({ annotations = {} }: Spec): boolean {
  return Object.keys(annotations).some((name) => name.startsWith(OF_PODS));
}

function imageMount(mount: Mount, type: string | undefined): Mount {
  const options = mount.options ?? [];
  if (type === undefined) return { ...mount, options: [...options, LOOP] };
  return { ...mount, type, options: [...options.filter((option) => !OF_BINDS.includes(option)), LOOP] };
}

function invalid(
  why: string,
  remedy = "Write words such as /data=ext4, or /dev/data for a block device.",
): CaissonError {
  return new CaissonError("CAISSON_E_CONFIG_INVALID", `${FIELD}: ${why}`, { field: FIELD, remedy });
}
