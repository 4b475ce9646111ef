/**
 * The state directory. A container's directory appears whole and disappears whole, by rename(2): there is never one
 * without a record, whatever is killed when, and of two who reserve an id one wins.
 */
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CaissonError, type ErrorCode } from "../../protocol/errors.ts";
import { checkId } from "../../protocol/id.ts";
import { readBounded } from "../text/bounded-read.ts";
import { discardUnfinished } from "../text/discard-unfinished.ts";
import { isSystemError, systemErrorSentence } from "../text/errors.ts";
import { mountsBelow } from "./mounts-below.ts";
import { statePaths } from "./paths.ts";
import { isAlive, processIdentity } from "./process-identity.ts";
import { formatRecord, parseRecord, type StateRecord } from "./record.ts";

/** Not in any id: what is being made or removed. Followed by the pid that does it. */
const MAKING = "~new-";
const REMOVING = "~old-";

/** A record has parts of config.json, which has at most 4 MiB. */
const LARGEST_RECORD_BYTES = 8 * 1024 * 1024;

const NO_CONTAINER: ReadonlySet<string> = new Set<ErrorCode>(["CAISSON_E_NOT_FOUND", "CAISSON_E_ID_INVALID"]);

let serial = 0;

function temporaryName(kind: string): string {
  return `${kind}${process.pid}-${serial++}`;
}

/**
 * Makes the container's directory with its first record. Throws CAISSON_E_ID_INVALID, CAISSON_E_ID_IN_USE, or
 * CAISSON_E_STORAGE when the directory cannot be written; nothing is left then.
 */
export function reserveState(root: string, record: StateRecord): void {
  checkId("container", record.id);
  const { directory } = statePaths(root, record.id);
  try {
    makeRoot(root);
    sweep(root);
  } catch (cause) {
    throw storageError(`make the state directory ${root}`, cause);
  }
  const making = join(root, temporaryName(MAKING));
  try {
    mkdirSync(making, { mode: 0o700 });
    writeFileSync(join(making, "state.json"), formatRecord(record), { mode: 0o600 });
    // rename(2): replaces an empty directory, and fails on one that has a record.
    renameSync(making, directory);
  } catch (cause) {
    discardUnfinished(making);
    if (isSystemError(cause) && (cause.code === "ENOTEMPTY" || cause.code === "EEXIST")) {
      throw idInUse(root, record.id);
    }
    throw storageError(`make the state directory ${directory}`, cause);
  }
}

function makeRoot(root: string): void {
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
  } catch (error) {
    // Node says so of any reason that mkdir(2) had; the call itself tells which.
    if (isSystemError(error) && error.code === "ENOENT") mkdirSync(root, { mode: 0o700 });
    throw error;
  }
}

/**
 * Makes a directory of this process below the root that belongs to no container. The process removes it; if it was killed,
 * whoever makes or removes a container next does.
 */
export function makeOwnDirectory(root: string): string {
  const directory = join(root, temporaryName(MAKING));
  try {
    mkdirSync(directory, { mode: 0o700 });
    return directory;
  } catch (cause) {
    throw storageError(`make the directory ${directory}`, cause);
  }
}

/** Replaces the record of a reserved container, atomically. Throws CAISSON_E_STORAGE. */
export function writeState(root: string, record: StateRecord): void {
  const { record: path, formerRecord } = statePaths(root, record.id);
  const aside = `${path}.${temporaryName("")}`;
  try {
    writeFileSync(aside, formatRecord(record), { mode: 0o600 });
    keep(path, formerRecord);
    renameSync(aside, path);
  } catch (cause) {
    discardUnfinished(aside);
    throw storageError(`write the state record ${path}`, cause);
  }
}

/** Takes no space. Without it a record that is damaged later has none to go by, and that is all. */
function keep(path: string, former: string): void {
  const aside = `${former}.${temporaryName("")}`;
  try {
    linkSync(path, aside);
    renameSync(aside, former);
  } catch {
    discardUnfinished(aside);
  }
}

/**
 * The record as it was before its last change, with the true status as readState() has it; undefined when there is none, or
 * it is damaged, too.
 */
export function readFormerState(root: string, id: string): StateRecord | undefined {
  checkId("container", id);
  const path = statePaths(root, id).formerRecord;
  try {
    const record = parseRecord(readBounded(path, { bytes: LARGEST_RECORD_BYTES }).toString(), path);
    return isAlive(record.daemon) ? record : { ...record, status: "stopped" };
  } catch {
    return undefined;
  }
}

/**
 * The container's record with its true status: `stopped` once its daemon is gone, however it ended. Throws
 * CAISSON_E_ID_INVALID, CAISSON_E_NOT_FOUND, or CAISSON_E_STORAGE when the record cannot be read.
 */
export function readState(root: string, id: string): StateRecord {
  checkId("container", id);
  const path = statePaths(root, id).record;
  let text: string;
  try {
    text = readBounded(path, { bytes: LARGEST_RECORD_BYTES }).toString();
  } catch (cause) {
    if (isSystemError(cause) && (cause.code === "ENOENT" || cause.code === "ENOTDIR")) throw notFound(root, id);
    throw storageError(`read the state record ${path}`, cause);
  }
  const record = parseRecord(text, path);
  return isAlive(record.daemon) ? record : { ...record, status: "stopped" };
}

/**
 * Every container's record, by id. One that cannot be read is left out and told to `skipped`; what has no record is no
 * container, or one no longer. Throws CAISSON_E_STORAGE when the root itself cannot be read; a root that is not there is
 * empty.
 */
export function listStates(root: string, skipped: (reason: string) => void): StateRecord[] {
  const records: StateRecord[] = [];
  for (const name of entriesOf(root).sort()) {
    try {
      records.push(readState(root, name));
    } catch (error) {
      if (error instanceof CaissonError && NO_CONTAINER.has(error.code)) continue;
      skipped(`${join(root, name)} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return records;
}

/**
 * Removes the container's directory, its record damaged or not; does nothing when there is none. Throws
 * CAISSON_E_STORAGE when the directory is no container's, or when something is still mounted below it: removing either
 * would remove what is not ours.
 */
export function removeState(root: string, id: string): void {
  checkId("container", id);
  const { directory, record, formerRecord } = statePaths(root, id);
  const hasEntries = () => entriesOf(directory).length > 0;
  // Asked for again: somebody else may have removed it in between.
  if (hasEntries() && !existsSync(record) && !existsSync(formerRecord) && hasEntries()) {
    throw new CaissonError(
      "CAISSON_E_STORAGE",
      `cannot remove ${directory}: it has no state.json, so it is no container's`,
      {
        remedy: "Look at what is in it and remove it by hand.",
      },
    );
  }
  const [mounted] = mountsBelow(directory);
  if (mounted !== undefined) {
    throw new CaissonError("CAISSON_E_STORAGE", `cannot remove ${directory}: ${mounted} is still mounted`, {
      remedy: "Unmount it, then delete the container again.",
    });
  }
  const removing = join(root, temporaryName(REMOVING));
  try {
    renameSync(directory, removing);
  } catch (cause) {
    if (!isSystemError(cause) || cause.code !== "ENOENT") throw storageError(`remove ${directory}`, cause);
  }
  try {
    sweep(root);
    rmSync(removing, { recursive: true, force: true });
  } catch (cause) {
    throw storageError(`remove ${directory}`, cause);
  }
}

/** Removes what killed processes left half made or half removed. */
function sweep(root: string): void {
  for (const name of entriesOf(root)) {
    const pid = Number(/^~(?:new|old)-(\d+)-/.exec(name)?.[1] ?? process.pid);
    if (pid === process.pid || processIdentity(pid) !== undefined) continue;
    rmSync(join(root, name), { recursive: true, force: true });
  }
}

function entriesOf(root: string): string[] {
  try {
    return readdirSync(root);
  } catch (cause) {
    if (isSystemError(cause) && cause.code === "ENOENT") return [];
    throw storageError(`read the state directory ${root}`, cause);
  }
}

function storageError(doing: string, cause: unknown): CaissonError {
  const code = isSystemError(cause) ? cause.code : "";
  const remedy =
    code === "ENOSPC" || code === "EDQUOT"
      ? "Free space on that file system, or name another directory with --root."
      : code === "EACCES" || code === "EPERM" || code === "EROFS"
        ? "Run as root, or name a directory that you can write with --root."
        : undefined;
  return new CaissonError("CAISSON_E_STORAGE", systemErrorSentence(doing, cause), {
    cause,
    ...(remedy !== undefined && { remedy }),
  });
}

function idInUse(root: string, id: string): CaissonError {
  return new CaissonError("CAISSON_E_ID_IN_USE", `a container with the id "${id}" exists already in ${root}`, {
    remedy: `Use another id, or remove that container with caisson delete ${id}.`,
  });
}

/** Engines look for "does not exist" in it, which is what runc says. */
function notFound(root: string, id: string): CaissonError {
  return new CaissonError("CAISSON_E_NOT_FOUND", `container "${id}" does not exist in ${root}`, {
    remedy: "See caisson list for those that exist.",
  });
}
