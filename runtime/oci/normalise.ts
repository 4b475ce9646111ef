/** Makes a valid configuration explicit, so that nothing after it needs the bundle's path or a default rule. */
import { resolve } from "node:path";
import { CAPABILITIES } from "../../protocol/capabilities.ts";
import { CAPABILITY_SETS, type Capabilities, type Process, type Spec } from "../../protocol/oci.ts";
import { isBindMount } from "./checks/mounts.ts";
import { withoutHostDevices } from "./host-devices.ts";

const KNOWN_CAPABILITIES: ReadonlySet<string> = new Set(CAPABILITIES);

/**
 * The configuration with absolute mount destinations and bind sources and with known capabilities only; `warnings` are
 * sentences about what was changed in it that its author should know. Throws as withoutHostDevices does.
 */
export function normalise(given: Spec, bundle: string): { config: Spec; warnings: string[] } {
  const { config, warning } = withoutHostDevices(given);
  const warnings: string[] = warning === undefined ? [] : [warning];
  for (const [index, { access = "" }] of config.linux?.resources?.devices?.entries() ?? []) {
    const field = `linux.resources.devices[${index}].access`;
    if (/[^rwm]/.test(access)) warnings.push(`${field}: of ${JSON.stringify(access)} only r, w and m mean something`);
  }
  const mounts = config.mounts?.map((mount, index) => {
    let { destination, source } = mount;
    if (!destination.startsWith("/")) {
      // config.md, Mounts: relative destinations are deprecated and MUST be taken as relative to "/".
      warnings.push(
        `mounts[${index}].destination: "${destination}" is relative, which is deprecated; "/${destination}" is used`,
      );
      destination = `/${destination}`;
    }
    // config.md, Mounts: a bind mount's relative source is relative to the bundle.
    if (isBindMount(mount)) source = resolve(bundle, source ?? "");
    return { ...mount, destination, source };
  });
  const linux = mapped(config, warnings);
  return {
    config: { ...config, mounts, ...(linux && { linux }), process: normalProcess(config.process, warnings) },
    warnings,
  };
}

/** Maps ids as crun does: a new user namespace that nothing is mapped into has the runtime's own user as its root. */
function mapped({ linux }: Spec, warnings: string[]): Spec["linux"] {
  const { namespaces = [], uidMappings = [], gidMappings = [] } = linux ?? {};
  const isNew = namespaces.some(({ type, path = "" }) => type === "user" && path === "");
  if (!isNew || uidMappings.length + gidMappings.length > 0) return linux;
  const mappings = [{ containerID: 0, hostID: 0, size: 1 }];
  warnings.push(
    "linux.uidMappings: the new user namespace has none: its root is that of the host, and there is nobody else",
  );
  return { ...linux, uidMappings: mappings, gidMappings: mappings };
}

/** The process with known capabilities only; what was left out is told in `warnings`. */
export function normalProcess<P extends Process | undefined>(process: P, warnings: string[]): P {
  if (process?.capabilities === undefined) return process;
  const capabilities: Capabilities = {};
  for (const set of CAPABILITY_SETS) {
    capabilities[set] = process.capabilities[set]?.filter((name) => {
      // config.md, Linux Process: what cannot be mapped to the kernel MUST be logged as a warning, not refused.
      const known = KNOWN_CAPABILITIES.has(name);
      if (!known) warnings.push(`process.capabilities.${set}: "${name}" is not a capability and is left out`);
      return known;
    });
  }
  return { ...process, capabilities };
}
