import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import type { VolumeEntry, WriteVolumeRequest } from "../../protocol/generated/agent.ts";

/** stat(2) */
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
/** A new link or file has this name first, and takes the old one's place by rename(2). */
const NEW = "_tmp";
/** Whoever has looked up the old directory may not have opened yet what he wants of it. */
const KEPT_MS = 1000;
/** The host may replace a volume as fast as it likes. */
const MOST_OLD = 16;

/** A volume that there is. */
interface Volume {
  wanted: ReadonlySet<string>;
  /** What each change has made superfluous, the oldest first, and when it goes. */
  old: { names: readonly string[]; timer: NodeJS.Timeout }[];
}

/** Copies of small volumes of the host, on the guest's own file system, where who watches them is told what changes. */
export class Volumes {
  readonly #folder: string;
  readonly #volumes = new Map<string, Volume>();

  /** @param folder made when it is needed. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the volume what the entries say, the new before the old goes. Throws CAISSON_E_STORAGE. */
  write({ path, entries }: WriteVolumeRequest): void {
    try {
      this.#check(path);
      mkdirSync(this.#folder, { recursive: true, mode: 0o711 });
      const wanted = new Set(entries.map((entry) => entry.path));
      for (const entry of inOrder(entries)) make(path, entry);
      this.#retire(path, wanted);
    } catch (cause) {
      throw new CaissonError("CAISSON_E_STORAGE", `cannot write the volume ${path}: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  /** Does nothing for one that is not there. */
  remove(path: string): void {
    this.#check(path);
    for (const { timer } of this.#volumes.get(path)?.old ?? []) clearTimeout(timer);
    this.#volumes.delete(path);
    rmSync(path, { recursive: true, force: true });
  }

  #retire(path: string, wanted: ReadonlySet<string>): void {
    const volume = this.#volumes.get(path) ?? { wanted, old: [] };
    const known = new Set(volume.old.flatMap(({ names }) => names));
    const names = namesIn(path).filter((name) => !wanted.has(name) && !known.has(name));
    volume.wanted = wanted;
    this.#volumes.set(path, volume);
    if (names.length > 0) volume.old.push({ names, timer: setTimeout(() => removeOldest(path, volume), KEPT_MS) });
    if (volume.old.length > MOST_OLD) removeOldest(path, volume);
  }

  #check(path: string): void {
    if (dirname(path) === this.#folder && /^\d+$/.test(basename(path))) return;
    throw new CaissonError("CAISSON_E_STORAGE", `${path} is no place for a volume`);
  }
}

/** What links lead to is there before the links are, and what many links lead through, ..data, changes first of them. */
function inOrder(entries: readonly VolumeEntry[]): VolumeEntry[] {
  const isLink = ({ mode }: VolumeEntry) => (mode & S_IFMT) === S_IFLNK;
  const links = entries
    .filter(isLink)
    .toSorted((a, b) => Number(b.path.startsWith("..")) - Number(a.path.startsWith("..")));
  return [...entries.filter((entry) => !isLink(entry)), ...links];
}

function make(volume: string, entry: VolumeEntry): void {
  const { path, mode, uid, gid, modifiedNs } = entry;
  if (path !== "" && (normalize(path) !== path || path.split("/").includes("..")))
    throw new Error(`${path} is no path in it`);
  const target = join(volume, path);
  const before = lstatSync(target, { throwIfNoEntry: false });
  const kind = mode & S_IFMT;
  if (kind === S_IFLNK) {
    link(target, Buffer.from(entry.content).toString(), before);
    return;
  }
  if (kind !== S_IFDIR && kind !== S_IFREG) throw new Error(`${path} is neither a directory nor a file nor a link`);
  const isSameKind = before !== undefined && (before.mode & S_IFMT) === kind;
  if (before !== undefined && !isSameKind) rmSync(target, { recursive: true });
  if (kind === S_IFREG) {
    const isSame = isSameKind && before.mode === mode && before.uid === uid && before.gid === gid;
    if (isSame && readFileSync(target).equals(entry.content)) return;
    const made = isSameKind ? `${target}${NEW}` : target;
    writeFileSync(made, entry.content);
    own(made, entry);
    const seconds = Number(modifiedNs) / 1e9;
    utimesSync(made, seconds, seconds);
    if (made !== target) renameSync(made, target);
  } else {
    if (!isSameKind) mkdirSync(target);
    own(target, entry);
  }
}

function own(path: string, { uid, gid, mode }: VolumeEntry): void {
  const { uid: hasUid, gid: hasGid, mode: hasMode } = lstatSync(path);
  if (hasUid !== uid || hasGid !== gid) chownSync(path, uid, gid);
  if ((hasMode & 0o7777) !== (mode & 0o7777)) chmodSync(path, mode & 0o7777);
}

function link(target: string, leadsTo: string, before: Stats | undefined): void {
  if (before?.isSymbolicLink() && readlinkSync(target) === leadsTo) return;
  if (before?.isDirectory()) rmSync(target, { recursive: true });
  if (before === undefined) {
    symlinkSync(leadsTo, target);
    return;
  }
  const made = `${target}${NEW}`;
  rmSync(made, { force: true });
  symlinkSync(leadsTo, made);
  renameSync(made, target);
}

/** All that is in a volume, links before what they may lead to, and what is in a directory before it. */
function namesIn(volume: string, directory = ""): string[] {
  const entries = readdirSync(join(volume, directory), { withFileTypes: true });
  const [links, others] = [true, false].map((isLink) => entries.filter((entry) => entry.isSymbolicLink() === isLink));
  return [...(links ?? []), ...(others ?? [])].flatMap((entry) => {
    const name = join(directory, entry.name);
    return entry.isDirectory() ? [...namesIn(volume, name), name] : [name];
  });
}

function removeOldest(path: string, { wanted, old }: Volume): void {
  const oldest = old.shift();
  if (oldest === undefined) return;
  clearTimeout(oldest.timer);
  // The host may have come back to one of them.
  for (const name of oldest.names) if (!wanted.has(name)) rmSync(join(path, name), { recursive: true, force: true });
}
