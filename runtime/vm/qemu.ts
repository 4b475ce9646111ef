import { accessSync, type BigIntStats, constants, realpathSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { factFile, recall, remember } from "./host-cache.ts";
import { jailFiles } from "./jail/files.ts";

const BINARY = "qemu-system-x86_64";
/** The oldest that has all the command line uses. */
const OLDEST: QemuVersion = [7, 2, 0];
/** Where a caller without PATH (env -i) looks, as shells do. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const VERSION_LIMIT_MS = 10_000;

export type QemuVersion = readonly [major: number, minor: number, micro: number];

/** A QEMU that can be run. */
export interface Qemu {
  /** Absolute, symbolic links resolved. */
  path: string;
  version: QemuVersion;
  /** Absolute paths of the files, and of the folders with files, that it reads by itself. */
  files: readonly string[];
}

/**
 * Finds QEMU: `configured` if given, a path or a name, else Debian's name, in PATH. What it says of itself is asked for
 * once for each binary and kept in `directory`.
 * @throws CAISSON_E_HOST when there is none, it cannot say its version, or it is older than 7.2.
 */
export async function findQemu(directory: string | undefined, configured?: string): Promise<Qemu> {
  const path = locate(configured ?? BINARY);
  const file = factFile(directory, "qemu.json");
  const key = fileIdentity(path);
  const known = recall(file, key, toFacts) ?? { version: await askVersion(path), files: await jailFiles(path) };
  remember(file, key, known);
  const { version, files } = known;
  if (compareVersions(version, OLDEST) < 0) {
    throw new CaissonError(
      "CAISSON_E_HOST",
      `cannot use ${path}: it is QEMU ${version.join(".")}, and Caisson needs ${OLDEST[0]}.${OLDEST[1]} or later`,
      { remedy: "Install a newer qemu-system-x86 package." },
    );
  }
  return { path, version, files };
}

/** Names a file's content without reading it: whoever replaces or changes it changes one of these (stat(2)). */
export function fileIdentity(path: string): string {
  return identityOf(path, statSync(path, { bigint: true }));
}

export function identityOf(path: string, { dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [path, dev, ino, size, mtimeNs, ctimeNs].join(":");
}

/** Negative when `a` is older, positive when it is newer. */
export function compareVersions(a: QemuVersion, b: QemuVersion): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/** What `qemu-system-x86_64 --version` prints, or undefined when that is no such thing. */
export function parseVersion(output: string): QemuVersion | undefined {
  const match = /^QEMU emulator version (\d{1,4})\.(\d{1,4})\.(\d{1,4})/.exec(output);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

function toFacts(value: unknown): Omit<Qemu, "path"> | undefined {
  const { version, files } = (value ?? {}) as { version?: unknown; files?: unknown };
  if (!Array.isArray(version) || version.length !== 3 || !version.every(Number.isSafeInteger)) return undefined;
  if (!Array.isArray(files) || !files.every((path) => typeof path === "string")) return undefined;
  return { version: version as unknown as QemuVersion, files };
}

function locate(name: string): string {
  const folders = name.includes("/")
    ? [""]
    : (process.env["PATH"] ?? DEFAULT_PATH).split(delimiter).filter((folder) => folder !== "");
  for (const folder of folders) {
    const candidate = folder === "" ? name : join(folder, name);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return realpathSync(candidate);
    } catch {
      // The next folder may have it.
    }
  }
  throw new CaissonError(
    "CAISSON_E_HOST",
    `cannot find QEMU: there is no executable ${name}${name.includes("/") ? "" : " in PATH"}`,
    {
      remedy: "Install it with `apt-get install qemu-system-x86`.",
    },
  );
}

async function askVersion(path: string): Promise<QemuVersion> {
  const { execa } = await import("execa");
  const { failed, stdout, shortMessage } = await execa(path, ["--version"], {
    reject: false,
    timeout: VERSION_LIMIT_MS,
    maxBuffer: 64 * 1024,
    stdin: "ignore",
  });
  const version = failed ? undefined : parseVersion(stdout);
  if (version !== undefined) return version;
  const why = failed ? shortMessage : `it printed "${stdout.slice(0, 80)}"`;
  throw new CaissonError("CAISSON_E_HOST", `cannot use ${path}: it did not say which version of QEMU it is: ${why}`);
}
