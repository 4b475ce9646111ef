/** config.md: Mounts, POSIX-platform Mounts. */
import type { Mount, Spec } from "../../../protocol/oci.ts";
import { type Check, noNulByte } from "./check.ts";
import { fileSystemOptions } from "./mount-options.ts";
import { mappings } from "./namespaces.ts";
import type { Problem } from "./problem.ts";

/**
 * Whether it shows a file or folder of the host. As runc reads it: an option says so, or the type that tools write for it.
 * With "remount" the option only says that the mount changes and not its file system.
 */
export function isBindMount({ type, options = [] }: Mount): boolean {
  if (options.includes("remount")) return false;
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

/** Whether it asks for its ids to be mapped: the options alone mean the container's own map, and a map needs no option. */
export function isIdMapped({ uidMappings = [], gidMappings = [], options = [] }: Mount): boolean {
  return uidMappings.length + gidMappings.length > 0 || options.some(isIdMapOption);
}

export function isIdMapOption(option: string): boolean {
  return option === "idmap" || option === "ridmap";
}

export const mounts: Check = function* ({ mounts, linux }) {
  for (const [index, mount] of mounts?.entries() ?? []) {
    const field = `mounts[${index}]`;
    const { destination, source = "", type = "", options = [] } = mount;
    if (destination === "") yield { field: `${field}.destination`, message: "must not be empty" };
    for (const [name, text] of Object.entries({ destination, source, type }))
      yield* noNulByte(`${field}.${name}`, text);
    for (const [at, option] of options.entries()) yield* noNulByte(`${field}.options[${at}]`, option);
    if (isBindMount(mount)) yield* bindMount(mount, field);
    else if (type === "" && !options.includes("remount"))
      yield { field: `${field}.type`, message: "is required unless the mount is a bind mount" };
    if (SHARED.includes(type) && !isBindMount(mount)) {
      const message = `is "${type}": what of the host a container sees is shared by bind mounts, and the VM has no other`;
      yield { field: `${field}.type`, message };
    }
    if (type.startsWith(OURS)) {
      yield { field: `${field}.type`, message: `is ${JSON.stringify(type)}, which is a name of the runtime's own` };
    }
    yield* idMapped(mount, linux, field);
  }
};

/** Types of mounts whose source is a path of the guest (guest-modules.ts, own-sources.ts, sandbox/spec/shared-memory.ts). */
const OURS = "caisson-";

/** Mounted as such they would show a container what the sandbox's other containers have of the host. */
const SHARED: readonly string[] = ["9p", "virtiofs"];

/** The kernel ignores file system options of a bind mount, so to accept them would be to drop them. */
function* bindMount({ source = "", options = [] }: Mount, field: string): Iterable<Problem> {
  if (source === "") yield { field: `${field}.source`, message: "is required for a bind mount" };
  for (const option of fileSystemOptions(options)) {
    yield { field: `${field}.options`, message: `has ${JSON.stringify(option)}, which a bind mount cannot have` };
  }
}

function* idMapped(mount: Mount, linux: Spec["linux"], field: string): Iterable<Problem> {
  const { uidMappings = [], gidMappings = [] } = mount;
  yield* mappings(`${field}.uidMappings`, uidMappings);
  yield* mappings(`${field}.gidMappings`, gidMappings);
  if (!isIdMapped(mount)) return;
  if (!isBindMount(mount)) yield { field, message: "is id-mapped, which only a bind mount can be" };
  if (uidMappings.length > 0 !== gidMappings.length > 0) {
    yield { field, message: "must have both uidMappings and gidMappings, or neither" };
  } else if (uidMappings.length === 0 && (linux?.uidMappings ?? []).length === 0) {
    yield {
      field,
      message: "is id-mapped, and neither the mount nor a user namespace in the configuration has uidMappings",
    };
  }
}
