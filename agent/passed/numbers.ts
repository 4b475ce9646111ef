/** The host's devices in a container's configuration, with what the guest has of them in their place. */
import type { Device, DeviceRule, Resources, Spec } from "../../protocol/oci.ts";
import type { DeviceNode } from "./nodes.ts";

/** What the configuration names by the numbers of a character device, and the guest's nodes of it; of none: it has no driver, or an interface only. */
export interface PassedNodes {
  major: number;
  minor: number;
  nodes: readonly DeviceNode[];
}

/** The configuration with those nodes, of the owner and the mode that it asks for, if it does. */
export function withPassedNodes(config: Spec, passed: readonly PassedNodes[]): Spec {
  const { linux } = config;
  if (linux === undefined || passed.length === 0) return config;
  const devices = linux.devices?.flatMap((device): Device[] => {
    const nodes = isCharacter(device.type) ? nodesOf(passed, device) : undefined;
    return nodes?.map((node) => ({ ...device, ...node })) ?? [device];
  });
  const resources = linux.resources && resourcesWithPassedNodes(linux.resources, passed);
  return { ...config, linux: { ...linux, ...(devices && { devices }), ...(resources && { resources }) } };
}

/** The limits with each rule for such a device as rules for its nodes. */
export function resourcesWithPassedNodes(resources: Resources, passed: readonly PassedNodes[]): Resources {
  const { devices } = resources;
  if (devices === undefined || passed.length === 0) return resources;
  return { ...resources, devices: devices.flatMap((rule) => rulesFor(rule, passed)) };
}

function rulesFor(rule: DeviceRule, passed: readonly PassedNodes[]): DeviceRule[] {
  const { type = "a", major = -1, minor = -1 } = rule;
  if (type === "b" || major < 0) return [rule];
  const nodes = nodesOf(passed, { major, minor });
  if (nodes === undefined) return [rule];
  const rules = nodes.map((node): DeviceRule => ({ ...rule, type: node.type, major: node.major, minor: node.minor }));
  return type === "a" ? [{ ...rule, type: "b" }, ...rules] : rules;
}

/** Undefined where nothing that is passed has these numbers; a minor number below 0 is any. */
function nodesOf(passed: readonly PassedNodes[], { major, minor = -1 }: Pick<Device, "major" | "minor">) {
  const meant = passed.filter((each) => each.major === major && (minor < 0 || each.minor === minor));
  return meant.length === 0 ? undefined : meant.flatMap(({ nodes }) => nodes);
}

function isCharacter(type: string): boolean {
  return type === "c" || type === "u";
}
