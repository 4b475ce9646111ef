/**
 * Volumes that the host replaces as a whole, as kubelet does with ConfigMaps, Secrets and tokens: a link named ..data leads to the
 * directory that has the files, and a new directory comes with a new link (Kubernetes, pkg/volume/util/atomic_writer.go).
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** A file, directory or symbolic link in such a volume; the volume itself has an empty path. */
export interface VolumeEntry {
  path: string;
  /** The mode as stat(2) has it. */
  mode: number;
  uid: number;
  gid: number;
  modifiedNs: bigint;
  content: Buffer;
}

/** A volume that a container has. */
export interface SmallVolume {
  /** Where this process sees it. */
  directory: string;
  /** Where the guest is to have its copy. */
  guestPath: string;
  /** The field of the configuration, and the path on the host. */
  field: string;
  name: string;
}

/** How large a volume may be. */
export interface VolumeLimits {
  bytes: number;
  entries: number;
}

/** Kubernetes' own limit of a ConfigMap or Secret is 1 MiB; several may be projected into one volume. */
export const FIRST_LIMITS: VolumeLimits = { bytes: 1024 * 1024, entries: 256 };
/** The most bytes of a volume, which may grow; a message to the agent has 4 MiB at most. */
export const LATER_LIMITS: VolumeLimits = { bytes: 3 * 1024 * 1024, entries: 1024 };

/** The link that is replaced. */
const CURRENT = "..data";
/** The host may replace the volume while it is read. */
const TRIES = 20;
const NOTHING = Buffer.alloc(0);

/** Whether the directory is such a volume. */
export function isReplacedAsAWhole(directory: string): boolean {
  return lstatSync(join(directory, CURRENT), { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/**
 * What is in it now, directories before what is in them.
 * @returns undefined when that is more than the limits, or something else than files, directories and links.
 * @throws the system's error.
 */
export function readVolume(directory: string, limits: VolumeLimits): VolumeEntry[] | undefined {
  for (let tries = 1; ; tries++) {
    const current = readlinkSync(join(directory, CURRENT));
    try {
      const entries = new Reading(directory, limits).entries(current);
      if (readlinkSync(join(directory, CURRENT)) === current) return entries;
      if (tries === TRIES) throw new Error(`${directory} changes faster than it can be read`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || tries === TRIES) throw error;
    }
  }
}

class Reading {
  readonly #directory: string;
  readonly #entries: VolumeEntry[] = [];
  #bytes: number;
  #left: number;

  constructor(directory: string, { bytes, entries }: VolumeLimits) {
    this.#directory = directory;
    this.#bytes = bytes;
    this.#left = entries;
  }

  /** @param current where the link leads: to what is complete, while another directory may still be written, or go. */
  entries(current: string): VolumeEntry[] | undefined {
    const isOther = (name: string) => name.startsWith("..") && name !== CURRENT && name !== current;
    if (!this.#add("", isOther)) return undefined;
    return this.#entries;
  }

  /** Adds an entry and what is in it; false when it cannot be copied. */
  #add(path: string, isLeftOut: (name: string) => boolean): boolean {
    const whole = join(this.#directory, path);
    const kind = lstatSync(whole, { bigint: true });
    const content = kind.isSymbolicLink()
      ? Buffer.from(readlinkSync(whole))
      : kind.isFile()
        ? this.#read(whole, kind.size)
        : NOTHING;
    this.#left -= 1;
    if (this.#left < 0 || content === undefined) return false;
    if (!kind.isDirectory() && !kind.isFile() && !kind.isSymbolicLink()) return false;
    this.#entries.push({
      path,
      mode: Number(kind.mode),
      uid: Number(kind.uid),
      gid: Number(kind.gid),
      modifiedNs: kind.mtimeNs,
      content,
    });
    if (!kind.isDirectory()) return true;
    const names = readdirSync(whole).filter((name) => !isLeftOut(name));
    return names.every((name) => this.#add(join(path, name), () => false));
  }

  #read(path: string, size: bigint): Buffer | undefined {
    if (size > BigInt(this.#bytes)) return undefined;
    const content = readFileSync(path);
    this.#bytes -= content.length;
    return this.#bytes < 0 ? undefined : content;
  }
}
