/** The PCI functions of the host's that a container is to have, by VFIO's nodes among its devices. */
import { CaissonError } from "../../../protocol/errors.ts";
import type { PassedDevice } from "../../../protocol/generated/agent.ts";
import type { Device, Spec } from "../../../protocol/oci.ts";
import { vfioOf } from "../../oci/host-devices.ts";
import { VFIO_CONTAINER } from "../../oci/vfio-devices.ts";
import { MOST_PASSED, passedPort } from "../../vm/passed-functions.ts";
import type { PciFunction } from "../../vm/spec.ts";
import { readFunctions, type VfioNode } from "../../vm/vfio-group.ts";

/** How the two questions about the host are answered; a test answers others. */
export interface PassedSources {
  nodes(spec: Spec): { device: Device; name: string }[];
  functions(node: VfioNode): PciFunction[];
}

const HOST: PassedSources = { nodes: (spec) => vfioOf(spec), functions: (node) => readFunctions(node) };

/**
 * The functions that a VM is started with for its first container.
 * @throws CaissonError as readFunctions() does; CAISSON_E_CONFIG_UNSUPPORTED when they are more than a VM can have.
 */
export function functionsOf(spec: Spec, sources = HOST): PciFunction[] {
  const functions = new Map<string, PciFunction>();
  for (const { node } of nodesOf(spec, sources)) {
    for (const each of sources.functions(node)) functions.set(each.address, each);
    if (functions.size > MOST_PASSED) {
      const what = `${node.field}: a VM can have ${MOST_PASSED} PCI functions of the host's, and these are ${functions.size}`;
      throw new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", what, { field: node.field });
    }
  }
  return [...functions.values()];
}

/**
 * What the guest is told of a container's functions. @param passed what the VM has.
 * @returns as well the configuration without VFIO's own node; the guest puts the functions' nodes in the place of the others.
 * @throws CaissonError as readFunctions() does; CAISSON_E_CONFIG_UNSUPPORTED that names the field of a function which the VM has not.
 */
export function takePassed(
  spec: Spec,
  passed: readonly PciFunction[],
  sources = HOST,
): { spec: Spec; passedDevices: PassedDevice[] } {
  const nodes = nodesOf(spec, sources);
  if (nodes.length === 0) return { spec, passedDevices: [] };
  const passedDevices = nodes.flatMap(({ node }) =>
    sources.functions(node).map(({ address }) => {
      const index = passed.findIndex((each) => each.address === address);
      if (index === -1) throw comesLate(node, address);
      return { port: passedPort(index), name: address, major: node.major, minor: node.minor };
    }),
  );
  const kept = new Set(nodes.map(({ device }) => device));
  const all = new Set(sources.nodes(spec).map(({ device }) => device));
  const devices = spec.linux?.devices?.filter((device) => kept.has(device) || !all.has(device));
  return { spec: { ...spec, linux: { ...spec.linux, ...(devices && { devices }) } }, passedDevices };
}

function nodesOf(spec: Spec, sources: PassedSources): { device: Device; node: VfioNode }[] {
  return sources
    .nodes(spec)
    .filter(({ name }) => name !== VFIO_CONTAINER)
    .map(({ device, name }) => {
      const { major = 0, minor = 0 } = device;
      const field = `linux.devices[${spec.linux?.devices?.indexOf(device)}]`;
      return { device, node: { name, major, minor, field } };
    });
}

function comesLate({ field, name }: VfioNode, address: string): CaissonError {
  const what = `${field}: /dev/${name} cannot be passed to a VM that runs: it was started without the PCI function ${address}`;
  return new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", what, {
    field,
    remedy: "Give the device to the first container of the VM, or run this one in a VM of its own.",
  });
}
