import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { flock, constants as posix } from "../../../native/posix/index.ts";
import { CaissonError } from "../../../protocol/errors.ts";
import { diskSectors, sameNumbers } from "../../oci/host-devices.ts";
import { systemErrorSentence } from "../../text/errors.ts";
import { outsideTree } from "../mount-tree.ts";
import type { DiskUse } from "./take.ts";

const { O_DIRECT, O_EXCL, O_RDONLY, O_RDWR } = constants;
const SECTOR_BYTES = 512;

/**
 * A block device of the host, or an image of one, that is a sandbox's for as long as this is open. What may be written is nobody else's: the
 * kernel keeps others from mounting a device that is open exclusively (open(2), O_EXCL), and a lock (flock(2)) keeps other
 * VMs from it and from images. systemd's udev leaves locked devices alone, too.
 */
export class ClaimedDisk implements Disposable {
  /** For QEMU; no lock hangs on it. */
  readonly fd: number;
  readonly readOnly: boolean;
  readonly isDevice: boolean;
  readonly sectorBytes: number;
  readonly #lock: number;
  #open = true;

  private constructor(lock: number, { image, major, minor }: DiskUse, readOnly: boolean) {
    this.#lock = lock;
    this.readOnly = readOnly;
    this.isDevice = !image;
    this.sectorBytes = image ? SECTOR_BYTES : deviceSectorBytes(major, minor);
    // QEMU goes past the page cache to a device, and from 9.1 on takes no descriptor for it that was not opened so.
    const flags = (readOnly ? O_RDONLY : O_RDWR) | (image ? 0 : O_DIRECT);
    // Opened anew: of copies of one descriptor QEMU could take the lock away.
    this.fd = openSync(`/proc/self/fd/${lock}`, flags);
  }

  /** @throws CaissonError CAISSON_E_STORAGE naming the field, when it is not there, in use, or empty. */
  static open(use: DiskUse): ClaimedDisk {
    const { fd, readOnly } = openDisk(use);
    try {
      const found = fstatSync(fd, { bigint: true });
      const isMeant = use.image ? found.isFile() : found.isBlockDevice() && sameNumbers(found.rdev, use);
      if (!isMeant) throw problem(use, `${use.path} is another file`);
      const bytes = use.image ? Number(found.size) : diskSectors(use.major, use.minor) * SECTOR_BYTES;
      if (bytes < SECTOR_BYTES) throw problem(use, "it is empty");
      const loop = use.image && !readOnly ? loopDeviceOf(outsideTree(use.path)) : undefined;
      if (loop !== undefined) throw inUse(use, `${loop} is on it`);
      if (!flock(fd, (readOnly ? posix.LOCK_SH : posix.LOCK_EX) | posix.LOCK_NB)) throw inUse(use, "another VM has it");
      return new ClaimedDisk(fd, use, readOnly);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
    closeSync(this.#lock);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A device that the host lets nobody write to is read-only for the container, too. */
function openDisk(use: DiskUse): { fd: number; readOnly: boolean } {
  try {
    if (use.readOnly || (!use.image && isKeptReadOnly(use)))
      return { fd: openSync(use.path, O_RDONLY), readOnly: true };
    return { fd: openSync(use.path, O_RDWR | O_EXCL), readOnly: false };
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    if (code === "EBUSY") throw inUse(use, "it is mounted, or part of another device, or another VM has it", cause);
    throw problem(use, systemErrorSentence(`open ${use.path}`, cause), cause);
  }
}

function isKeptReadOnly({ major, minor }: DiskUse): boolean {
  try {
    return readFileSync(`/sys/dev/block/${major}:${minor}/ro`, "latin1").trim() === "1";
  } catch {
    return false;
  }
}

function inUse(use: DiskUse, why: string, cause?: unknown): CaissonError {
  const remedy = use.readOnly ? "Wait until nobody writes to it." : "Unmount it, or ask for it read-only everywhere.";
  return problem(use, `it is in use on the host: ${why}`, cause, remedy);
}

function problem({ name, field }: DiskUse, why: string, cause?: unknown, remedy?: string): CaissonError {
  const message = `${field}: the VM cannot have ${name} as a disk: ${why}`;
  return new CaissonError("CAISSON_E_STORAGE", message, { cause, field, ...(remedy && { remedy }) });
}

/** The loop device that the host has on an image. */
function loopDeviceOf(path: string): string | undefined {
  try {
    return readdirSync("/sys/block").find((name) => {
      if (!name.startsWith("loop")) return false;
      try {
        return readFileSync(`/sys/block/${name}/loop/backing_file`, "utf8").trimEnd() === path;
      } catch {
        // The file is on no disk.
        return false;
      }
    });
  } catch {
    return undefined;
  }
}

/** The size of a sector of a disk; a partition has its disk's. */
function deviceSectorBytes(major: number, minor: number): number {
  const folder = `/sys/dev/block/${major}:${minor}`;
  for (const path of [`${folder}/queue`, `${folder}/../queue`]) {
    try {
      const bytes = Number(readFileSync(realpathSync(path).concat("/logical_block_size"), "latin1"));
      if (bytes >= SECTOR_BYTES && bytes <= 4096) return bytes;
    } catch {
      // The other one.
    }
  }
  return SECTOR_BYTES;
}
