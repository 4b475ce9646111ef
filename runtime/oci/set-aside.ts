/**
 * Bind mounts that are of no path of the host. Each has a type of ours, which no configuration may have (checks/mounts.ts),
 * until the share has dealt with the others; for the guest it is a bind mount again.
 */
import type { Mount, Spec } from "../../protocol/oci.ts";

/** Options of ours, which the guest does not get, begin so. */
export const OWN_OPTION = "caisson-";

/** Where in the guest the source is: at its own path, or below the container's root. */
const TYPES: Readonly<Record<string, { option: "bind" | "rbind"; belowRoot: boolean }>> = {
  "caisson-bind": { option: "bind", belowRoot: false },
  "caisson-root-bind": { option: "bind", belowRoot: true },
  "caisson-root-rbind": { option: "rbind", belowRoot: true },
};

/** The mount as one of `source` in the guest. */
export function setAsideMount(mount: Mount, source: string, type: keyof typeof TYPES = "caisson-bind"): Mount {
  const options = mount.options?.filter((option) => option !== "bind" && option !== "rbind") ?? [];
  return { ...mount, type, source, options };
}

export function isSetAside({ type = "" }: Mount): boolean {
  return Object.hasOwn(TYPES, type);
}

/** The configuration for the guest, whose root file system has its path there. */
export function giveBack(config: Spec): Spec {
  if (!config.mounts?.some(isSetAside)) return config;
  const mounts = config.mounts.map((mount): Mount => {
    const { type = "", source = "", options = [] } = mount;
    const aside = isSetAside(mount) ? TYPES[type] : undefined;
    if (aside === undefined) return mount;
    const path = aside.belowRoot ? `${config.root?.path ?? ""}${source}` : source;
    const kept = options.filter((option) => !option.startsWith(OWN_OPTION));
    return { ...mount, type: "bind", source: path, options: [aside.option, ...kept] };
  });
  return { ...config, mounts };
}
