import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { LOCK_FILE, type LockedPackage } from "./lock.ts";
import { debianMirror } from "./mirror.ts";
import { run } from "./run.ts";

/** Downloaded packages are kept here, so that a second build needs no network. */
const PACKAGE_CACHE = "out/cache";
/** apt's own download, with its proxies, its credentials and every kind of address that its sources may have. */
const APT_HELPER = "/usr/lib/apt/apt-helper";

/**
 * The packages' files in the cache, in the order asked for; those that are not there yet are downloaded.
 * @throws Error when the mirror has one no longer, or cannot be reached, or has other bytes than the lock says.
 */
export function download(packages: LockedPackage[]): string[] {
  const isThere = (each: LockedPackage) => existsSync(fileOf(each)) && sha256Of(fileOf(each)) === each.sha256;
  const absent = packages.filter((each) => !isThere(each));
  if (absent.length > 0) fetch(absent);
  return packages.map(fileOf);
}

function fileOf({ name, version }: LockedPackage): string {
  return join(PACKAGE_CACHE, `${name}_${version.replaceAll(":", "%3a")}.deb`);
}

function fetch(packages: LockedPackage[]): void {
  const mirror = debianMirror();
  mkdirSync(PACKAGE_CACHE, { recursive: true });
  const folder = mkdtempSync(join(PACKAGE_CACHE, "download-"));
  try {
    const target = ({ name }: LockedPackage) => resolve(folder, name);
    const wanted = packages.flatMap((each) => [`${mirror}/${each.path}`, target(each), `SHA256:${each.sha256}`]);
    // apt that runs as root fetches as user _apt, who cannot write here.
    const options = ["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2"];
    try {
      run(APT_HELPER, [...options, "download-file", ...wanted], { stdio: ["ignore", "ignore", "pipe"] });
    } catch (error) {
      throw new Error(downloadError(packages, mirror, String((error as { stderr?: Buffer }).stderr ?? error)));
    }
    for (const each of packages) {
      const actual = sha256Of(target(each));
      if (actual !== each.sha256)
        throw new Error(`${mirror}/${each.path} has sha256 ${actual}, but ${LOCK_FILE} says ${each.sha256}`);
      // apt links to the files of a mirror that is a folder.
      copyFileSync(target(each), fileOf(each));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What to say when apt could not download packages, from what it printed. */
export function downloadError(packages: LockedPackage[], mirror: string, printed: string): string {
  const gone = packages.filter(({ path }) =>
    printed.split("\n").some((line) => line.includes(path) && /\b404\b|File not found/.test(line)),
  );
  if (gone.length > 0) {
    const names = gone.map(({ name, version }) => `${name} ${version}`).join(", ");
    return (
      `${mirror} has no longer what ${LOCK_FILE} names: ${names}. A newer version has taken its place: run \`make guest-lock\`, which ` +
      "takes what the mirror has now and shows what changes, or set GUEST_MIRROR to a mirror that keeps old versions."
    );
  }
  return `the guest's packages could not be downloaded from ${mirror}: ${printed.trim()}`;
}

/** Unpacks packages' files; none of their scripts is run. */
export function unpack(files: string[], folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const file of files) run("dpkg-deb", ["--extract", file, folder]);
}

export function sha256Of(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
