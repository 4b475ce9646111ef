/** The disks that the VM has been given while it runs: targets of the one SCSI bus, that of the virtio-scsi device. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";

const HOSTS = "/sys/class/scsi_host";
const DEVICES = "/sys/bus/scsi/devices";
const DRIVER = "virtio_scsi";
/** The kernel asks a new disk for its size and partitions in a thread of its own. */
const APPEARS_WITHIN_MS = 30_000;
const POLL_MS = 2;

/** A disk as this guest knows it. */
export interface GuestDisk {
  /** The number of the disk's device node. */
  major: number;
  minor: number;
  /** In the guest's devtmpfs, absolute. */
  node: string;
}

/**
 * Has the kernel look at a target, and waits for the disk that is there. One that is known already is found again.
 * @throws CaissonError CAISSON_E_STORAGE.
 */
export async function addDisk(target: number): Promise<GuestDisk> {
  const host = findHost();
  try {
    writeFileSync(`${HOSTS}/host${host}/scan`, `0 ${target} 0`);
  } catch (cause) {
    throw failure(target, (cause as Error).message, cause);
  }
  for (let waitedMs = 0; waitedMs < APPEARS_WITHIN_MS; waitedMs += POLL_MS) {
    const disk = diskAt(`${DEVICES}/${host}:0:${target}:0/block`);
    if (disk !== undefined) return disk;
    await sleep(POLL_MS);
  }
  throw failure(target, `the kernel has found none within ${APPEARS_WITHIN_MS / 1000} s`);
}

/** Lets the kernel forget a disk, which writes what it has of it in memory. Does nothing for one that is not there. */
export function removeDisk(target: number): void {
  const file = `${DEVICES}/${findHost()}:0:${target}:0/delete`;
  if (existsSync(file)) writeFileSync(file, "1");
}

function diskAt(folder: string): GuestDisk | undefined {
  try {
    const [name = ""] = readdirSync(folder);
    const [major, minor] = readFileSync(`${folder}/${name}/dev`, "latin1").trim().split(":").map(Number);
    const node = `/dev/${name}`;
    return major === undefined || minor === undefined || !existsSync(node) ? undefined : { major, minor, node };
  } catch {
    // The disk is on its way.
    return undefined;
  }
}

function findHost(): number {
  const names = existsSync(HOSTS) ? readdirSync(HOSTS) : [];
  const name = names.find((each) => readFileSync(`${HOSTS}/${each}/proc_name`, "latin1").trim() === DRIVER);
  if (name === undefined) {
    throw new CaissonError("CAISSON_E_STORAGE", "the guest has no SCSI bus to which disks could be added");
  }
  return Number(name.slice("host".length));
}

function failure(target: number, why: string, cause?: unknown): CaissonError {
  return new CaissonError("CAISSON_E_STORAGE", `the guest cannot use its disk ${target}: ${why}`, { cause });
}
