import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { lockByte } from "../../../native/posix/index.ts";
import { CaissonError } from "../../../protocol/errors.ts";
import { systemErrorSentence } from "../../text/errors.ts";

/** The folder of the whole host, wherever templates and states are kept: users are the host's. */
const DIRECTORY = "/run/caisson-vm";
const FILE = "uids";

/** Users that nobody else on the host is. */
export interface UidRange {
  first: number;
  count: number;
}

/** A user, and the group of the same number, that is one QEMU's for as long as this process lives or until it is released. */
export interface JailUid {
  readonly uid: number;
  /** May be called again. */
  release: () => void;
}

/**
 * Takes a user that no process has. The byte of that number in a file is locked, so that a process that is killed gives it back; and
 * the file says who was taken last, and the next one is tried first: what has ended just now may not quite have ended.
 * @throws CaissonError CAISSON_E_HOST when all are taken; CAISSON_E_STORAGE when the file cannot be used.
 */
export function takeUid(range: UidRange, directory = DIRECTORY): JailUid {
  const path = `${directory}/${FILE}`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return take(range, openSync(path, "a+", 0o600));
  } catch (cause) {
    if (cause instanceof CaissonError) throw cause;
    throw new CaissonError("CAISSON_E_STORAGE", systemErrorSentence(`take a user for QEMU in ${path}`, cause), {
      cause,
      remedy: "Free space on that file system, or have it writable.",
    });
  }
}

/** Owns the file from now on. */
function take({ first, count }: UidRange, file: number): JailUid {
  try {
    const last = Number.parseInt(readFileSync(file, "latin1"), 10);
    const start = last >= first && last < first + count ? last - first + 1 : 0;
    for (let tried = 0; tried < count; tried++) {
      const uid = first + ((start + tried) % count);
      if (!lockByte(file, uid)) continue;
      ftruncateSync(file, 0);
      writeSync(file, `${uid}\n`);
      return taken(uid, file);
    }
  } catch (error) {
    closeSync(file);
    throw error;
  }
  closeSync(file);
  throw new CaissonError(
    "CAISSON_E_HOST",
    `no user is left for QEMU: all of ${first} to ${first + count - 1} are taken`,
    {
      remedy: "set qemu_uid_count to a larger number",
    },
  );
}

function taken(uid: number, file: number): JailUid {
  let open = true;
  const release = () => {
    if (open) closeSync(file);
    open = false;
  };
  return { uid, release };
}
