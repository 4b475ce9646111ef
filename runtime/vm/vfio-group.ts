/** PCI functions of the host's by the nodes of /dev/vfio (Documentation/driver-api/vfio.rst). */
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { VFIO } from "./passed-functions.ts";
import type { PciFunction } from "./spec.ts";

const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;
/** vfio-pci, and those of vendors that do as it does: mlx5_vfio_pci. */
const DRIVER = /(^|[_-])vfio[_-]pci$/;
/** What a function is by its class (PCI code and ID assignment specification): the way to others stays the host's. */
const BRIDGE = /^0x06/;

/** A node of VFIO that a configuration names. */
export interface VfioNode {
  /** Below /dev: "vfio/7" for a group, "vfio/devices/vfio0" for one function of it. */
  name: string;
  major: number;
  minor: number;
  /** Of the configuration, for errors. */
  field: string;
}

/** Where the host's facts are; a test has others. */
export interface HostFolders {
  sys: string;
  /** The path of the node by which groups are opened. */
  vfio: string;
}

const HOST: HostFolders = { sys: "/sys", vfio: VFIO };

/** Why no device of this host can be passed to a VM, and what to do about it; undefined when there is no such reason. */
export function vfioProblem({ sys, vfio } = HOST): { why: string; remedy: string } | undefined {
  const groups = groupsFolder(sys);
  if (!existsSync(groups) || readdirSync(groups).length === 0)
    return { why: "the host has no IOMMU", remedy: IOMMU_REMEDY };
  if (!existsSync(vfio)) return { why: `the host has no ${vfio}`, remedy: "Load the module: modprobe vfio-pci." };
  return undefined;
}

/**
 * The functions that a VM is given by a node: all of the group but bridges, or the one.
 * @throws CaissonError CAISSON_E_HOST that names the field when the host has no IOMMU or no such group, or when one of the group's functions has another
 *   driver than vfio-pci.
 */
export function readFunctions(node: VfioNode, { sys, vfio } = HOST): PciFunction[] {
  const { name } = node;
  const refuse = (why: string, remedy: string): never => {
    const what = `${node.field}: /dev/${name} cannot be passed to the VM: ${why}`;
    throw new CaissonError("CAISSON_E_HOST", what, { field: node.field, remedy });
  };
  if (/^vfio\/noiommu-/.test(name))
    return refuse("it is without an IOMMU, and could read and write all of the host's memory", IOMMU_REMEDY);
  const problem = vfioProblem({ sys, vfio });
  if (problem !== undefined) return refuse(problem.why, problem.remedy);
  const only = name.startsWith("vfio/devices/") ? functionOf(sys, node) : undefined;
  const group = only === undefined ? name.slice("vfio/".length) : basename(realpathSync(`${only}/iommu_group`));
  const folder = `${groupsFolder(sys)}/${group}/devices`;
  if (!/^\d+$/.test(group) || !existsSync(folder)) return refuse("the host has no such IOMMU group", BIND_REMEDY);
  const found = readdirSync(folder).sort();
  const other = found.find((each) => !ADDRESS.test(each));
  if (other !== undefined) return refuse(`${other} in its IOMMU group is no PCI function`, BIND_REMEDY);
  const functions = found
    .map((address) => ({ address, folder: realpathSync(`${folder}/${address}`), group }))
    .filter((each) => !BRIDGE.test(readFileSync(`${each.folder}/class`, "latin1")));
  for (const each of functions) {
    const driver = driverOf(each);
    if (driver !== undefined && DRIVER.test(driver)) continue;
    const has = driver === undefined ? "no driver" : `the driver ${driver}`;
    return refuse(`${each.address} in its IOMMU group has ${has}, not vfio-pci`, BIND_REMEDY);
  }
  const wanted = functions.filter((each) => only === undefined || each.folder === only);
  return wanted.length > 0 ? wanted : refuse("there is no function in its IOMMU group", BIND_REMEDY);
}

const IOMMU_REMEDY = "Switch the IOMMU on, in the firmware and with the kernel parameter intel_iommu=on.";
const BIND_REMEDY = "Bind each PCI function of the group to vfio-pci (driverctl set-override ADDRESS vfio-pci).";

function groupsFolder(sys: string): string {
  return `${sys}/kernel/iommu_groups`;
}

function driverOf({ folder }: PciFunction): string | undefined {
  const link = `${folder}/driver`;
  return existsSync(link) ? basename(realpathSync(link)) : undefined;
}

/** The folder of the function that a node of its own stands for: .../0000:3b:00.0/vfio-dev/vfio0. */
function functionOf(sys: string, { major, minor }: VfioNode): string | undefined {
  const link = `${sys}/dev/char/${major}:${minor}`;
  return existsSync(link) ? dirname(dirname(realpathSync(link))) : undefined;
}
