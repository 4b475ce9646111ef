/** Finds the block devices of the host in a container's configuration. */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { constants } from "../../../native/posix/index.ts";
import { CaissonError } from "../../../protocol/errors.ts";
import { DISK_MOUNT_TYPE, GUEST_DISKS } from "../../../protocol/guest-contract.ts";
import type { Device, DeviceRule, Mount, Spec } from "../../../protocol/oci.ts";
import { fileSystemOptions } from "../../oci/checks/mount-options.ts";
import { isBindMount } from "../../oci/checks/mounts.ts";
import { disksOf, numbersOf } from "../../oci/host-devices.ts";
import { setAsideMount } from "../../oci/set-aside.ts";
import { mountArguments } from "../mount-options.ts";
import { outsideTree } from "../mount-tree.ts";
import type { RootfsMount } from "../rootfs-mounts.ts";
import { withDiskImages } from "./images.ts";
import { DEVICE, isOnDisk, isReadOnly, kindOf, LOOP } from "./kinds.ts";

/** The major number of no device (devices.txt): images have it in the configuration. */
const NO_MAJOR = 0;

/** A block device, or an image of one, that a container is to have. */
export interface DiskUse {
  /** Absolute, without symbolic links. */
  path: string;
  /** The path as its user knows it. */
  name: string;
  field: string;
  readOnly: boolean;
  /** A file, and no device. */
  image: boolean;
  /** By which the configuration names it. */
  major: number;
  minor: number;
}

/** A file system that the guest is to mount. */
export interface DiskFileSystem {
  disk: DiskUse;
  /** Further ones that it is on, as erofs takes them. */
  devices: DiskUse[];
  type: string;
  flags: number;
  data: string;
  /** In the guest; relative: below the container's root file system. */
  path: string;
  field: string;
}

export interface TakenDisks {
  /** For giveBack(). */
  spec: Spec;
  disks: DiskUse[];
  fileSystems: DiskFileSystem[];
}

export interface DiskSources {
  id: string;
  /** Where relative sources begin. */
  directory: string;
  /** What the root file system is made of, if that is block devices. */
  rootfs?: readonly RootfsMount[] | undefined;
}

/**
 * The disks of `linux.devices`, of bind mounts of a device's node, with the option "loop" or named by an annotation, of mounts of file systems, and
 * of the root file system.
 * @throws CaissonError CAISSON_E_STORAGE that names the field of one that is not there, CAISSON_E_CONFIG_UNSUPPORTED, CAISSON_E_CONFIG_INVALID.
 */
export function takeDisks(config: Spec, { id, directory, rootfs = [] }: DiskSources): TakenDisks {
  const spec = withDiskImages(config);
  const given = disksOf(spec);
  if (given.length === 0 && rootfs.length === 0 && spec.mounts?.some(mayBeDisk) !== true)
    return { spec, disks: [], fileSystems: [] };
  const taking = new Taking(spec);
  const fileSystems = rootfs.map((mount, index) => taking.rootfs(mount, `rootfs[${index}]`));
  for (const device of given) taking.device(device, `linux.devices[${spec.linux?.devices?.indexOf(device)}]`);
  const mounts = spec.mounts?.map((mount, index): Mount => {
    const field = `mounts[${index}]`;
    if (isOnDisk(mount)) {
      const path = `${GUEST_DISKS}/${id}~${index}`;
      fileSystems.push(taking.fileSystem(mount, path, field, directory));
      const kept = (mount.options ?? []).filter((option) => option !== LOOP && !fileSystemOptions([option]).length);
      return setAsideMount({ ...mount, options: kept }, path);
    }
    return isBindMount(mount) && taking.node(mount, field, directory)
      ? { ...mount, type: DISK_MOUNT_TYPE, options: [] }
      : mount;
  });
  const { devices, rules, disks } = taking;
  const resources = { ...spec.linux?.resources, devices: rules };
  return {
    spec: { ...spec, ...(mounts && { mounts }), linux: { ...spec.linux, devices, resources } },
    disks,
    fileSystems,
  };
}

/** Cheap, for whoever has none: a directory cannot be one. */
function mayBeDisk(mount: Mount): boolean {
  if (isOnDisk(mount)) return true;
  if (!isBindMount(mount)) return false;
  return mount.options?.includes(LOOP) === true || kindOf(mount.source ?? "")?.isBlockDevice() === true;
}

class Taking {
  readonly disks: DiskUse[] = [];
  readonly devices: Device[];
  readonly rules: DeviceRule[];

  constructor({ linux }: Spec) {
    this.devices = [...(linux?.devices ?? [])];
    this.rules = [...(linux?.resources?.devices ?? [])];
  }

  device(device: Device, field: string): void {
    const { major = 0, minor = 0, path: name } = device;
    const readOnly = !mayWrite(this.rules, { major, minor });
    this.#use({ path: nodeOf(major, minor, field, name), name, field, readOnly, image: false, major, minor });
  }

  /** The bind mount of a device's node, or of a file as a device. @returns false for another one. */
  node({ source = "", destination, options = [] }: Mount, field: string, directory: string): boolean {
    const path = realPath(resolve(directory, source));
    const found = path === undefined ? undefined : statSync(path, { bigint: true });
    const loop = options.includes(LOOP);
    if (path === undefined || found === undefined || (!loop && !found.isBlockDevice())) return false;
    if (!found.isBlockDevice() && !found.isFile()) {
      throw unsupported(`${field}.options`, `"loop" is for files, and ${outsideTree(path)} is none`);
    }
    if (options.includes("nodev")) throw unsupported(`${field}.options`, `"nodev" makes the device useless`);
    const name = outsideTree(path);
    const mode = { fileMode: Number(found.mode & 0o777n), uid: Number(found.uid), gid: Number(found.gid) };
    const about = { path, name, field: `${field}.source` };
    let numbers: { major: number; minor: number };
    if (found.isBlockDevice()) {
      numbers = numbersOf(found.rdev);
      const readOnly = isReadOnly(options) || !mayWrite(this.rules, numbers);
      this.#use({ ...about, readOnly, image: false, ...numbers });
    } else {
      const readOnly = isReadOnly(options);
      const { major, minor } = this.#use({ ...about, readOnly, image: true, ...this.#noNumbers() });
      numbers = { major, minor };
      // No rule of the configuration could name it.
      this.rules.push({ allow: true, type: "b", ...numbers, access: readOnly ? "rm" : "rwm" });
    }
    this.devices.push({ path: destination, type: "b", ...numbers, ...mode });
    return true;
  }

  fileSystem(
    { type = "", source = "", options = [] }: Mount,
    path: string,
    field: string,
    directory: string,
  ): DiskFileSystem {
    const data = fileSystemOptions(options);
    const { flags } = mountArguments(options.filter((option) => !data.includes(option)));
    const disk = this.#source(resolve(directory, source), options, type, `${field}.source`);
    const further = this.#further({ type, options, data, field: `${field}.options` }, directory);
    return { disk, ...further, type, flags: flags | readOnlyFlag(options, type), path, field };
  }

  rootfs({ type, source, target, options }: RootfsMount, field: string): DiskFileSystem {
    // An id map, or what containerd's own code for mounts is to do first.
    const beyond = options.find((option) => /^(uidmap=|gidmap=|X-containerd\.)/.test(option));
    if (beyond !== undefined) throw unsupported(field, `the mount option "${beyond}" is not supported`);
    const { flags, data } = mountArguments(options.filter((option) => option !== LOOP));
    // What a snapshotter names as the source of a file system on a disk is one, with the option or without.
    const all = [...options, LOOP];
    const disk = this.#source(source, all, type, field);
    const path = target.replace(/^\/*/, "");
    const further = this.#further({ type, options: all, data, field }, "/");
    return { disk, ...further, type, flags: flags | readOnlyFlag(options, type), path, field };
  }

  /** erofs can be on several devices, which its option names; what they are called in the guest, only the guest knows. */
  #further(
    {
      type,
      options,
      data,
      field,
    }: { type: string; options: readonly string[]; data: readonly string[]; field: string },
    directory: string,
  ): Pick<DiskFileSystem, "devices" | "data"> {
    const named = type === "erofs" ? data.filter((option) => option.startsWith(DEVICE)) : [];
    const devices = named.map((option) =>
      this.#source(resolve(directory, option.slice(DEVICE.length)), options, type, field),
    );
    return { devices, data: data.filter((option) => !named.includes(option)).join(",") };
  }

  #source(source: string, options: readonly string[], type: string, field: string): DiskUse {
    const path = realPath(source);
    const name = outsideTree(source);
    if (path === undefined) {
      throw new CaissonError("CAISSON_E_STORAGE", `${field}: there is no ${name}, which is to be mounted`, { field });
    }
    const found = statSync(path, { bigint: true });
    const about = { path, name, field, readOnly: isReadOnly(options, type) };
    if (found.isBlockDevice()) return this.#use({ ...about, image: false, ...numbersOf(found.rdev) });
    if (found.isFile() && options.includes(LOOP)) return this.#use({ ...about, image: true, ...this.#noNumbers() });
    const remedy = found.isFile() ? 'Add the option "loop" for an image.' : "Name a block device.";
    throw new CaissonError("CAISSON_E_STORAGE", `${field}: ${name} is no block device`, { field, remedy });
  }

  /** A disk that is there already may be written to if one of its uses is for that. */
  #use(use: DiskUse): DiskUse {
    const known = this.disks.find(({ path, image, major, minor }) =>
      use.image ? image && path === use.path : !image && major === use.major && minor === use.minor,
    );
    if (known === undefined) {
      this.disks.push(use);
      return use;
    }
    known.readOnly &&= use.readOnly;
    return known;
  }

  #noNumbers(): { major: number; minor: number } {
    return { major: NO_MAJOR, minor: this.disks.length + 1 };
  }
}

function readOnlyFlag(options: readonly string[], type: string): number {
  return isReadOnly(options, type) ? constants.MS_RDONLY : 0;
}

/** Whether the rules of the device cgroup let the container write to the device: the last one that matches decides. */
function mayWrite(rules: readonly DeviceRule[], { major, minor }: { major: number; minor: number }): boolean {
  const matching = rules.filter(
    (rule) =>
      rule.type !== "c" &&
      [undefined, -1, major].includes(rule.major) &&
      [undefined, -1, minor].includes(rule.minor) &&
      (rule.access || "rwm").includes("w"),
  );
  return matching.at(-1)?.allow ?? false;
}

/** Where the host has the device of these numbers; engines tell the numbers and the container's name only. */
function nodeOf(major: number, minor: number, field: string, name: string): string {
  const uevent = readFileSync(`/sys/dev/block/${major}:${minor}/uevent`, "latin1");
  const node = `/dev/${/^DEVNAME=(.+)$/m.exec(uevent)?.[1] ?? `block/${major}:${minor}`}`;
  if (kindOf(node)?.isBlockDevice()) return node;
  const what = `${field}: ${name} is the block device ${major}:${minor} of the host, which has no node ${node}`;
  throw new CaissonError("CAISSON_E_STORAGE", what, { field, remedy: `Make it: mknod ${node} b ${major} ${minor}` });
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function unsupported(field: string, why: string): CaissonError {
  return new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", `${field}: ${why}`, { field });
}
