import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { run } from "./run.ts";

/** Downloaded packages are kept here, so that a second build needs no network. */
const PACKAGE_CACHE = "out/cache";
const APT_LISTS = "/var/lib/apt/lists";

/** A Debian package as apt would install it now. */
export interface Package {
  name: string;
  version: string;
  sha256: string;
  /** Names of what it depends on, the first of each group of alternatives. */
  depends: string[];
}

/** Its maintainer scripts are what needs it, and none is run here. */
const NOT_NEEDED = new Set(["debconf"]);

/**
 * Parses what `apt-cache show` prints.
 * @throws Error when a record lacks a field that a package always has.
 */
export function parsePackages(text: string): Package[] {
  return text
    .split(/\n\n+/)
    .filter((record) => record.trim() !== "")
    .map((record) => {
      const field = (name: string) => record.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1];
      const required = (name: string) => {
        const value = field(name);
        if (value === undefined) throw new Error(`apt-cache show printed a record without the field ${name}`);
        return value;
      };
      const depends = [field("Pre-Depends"), field("Depends")].filter((list) => list !== undefined).join(", ");
      return {
        name: required("Package"),
        version: required("Version"),
        sha256: required("SHA256"),
        depends: depends
          .split(",")
          .map((group) => group.trim().match(/^[a-z0-9][a-z0-9.+-]*/)?.[0])
          .filter((name) => name !== undefined),
      };
    });
}

/** apt's own index of its lists; in containers apt is often set not to keep it, and a look-up then takes seconds. */
const INDEX_OPTIONS = ["pkgcache", "srcpkgcache"].flatMap((name) => [
  "-o",
  `Dir::Cache::${name}=${resolve(PACKAGE_CACHE, `${name}.bin`)}`,
]);

/**
 * The newest candidates of the named packages and of everything they depend on, by name; runs `apt-get update` first
 * when apt has no lists.
 * @param isLeaf names the packages whose own dependencies do not count.
 * @throws Error when apt does not know one of them.
 */
export function lookUp(names: string[], isLeaf: (name: string) => boolean): Map<string, Package> {
  mkdirSync(PACKAGE_CACHE, { recursive: true });
  if (!readdirSync(APT_LISTS).some((name) => name.includes("_Packages"))) apt(["update", "--quiet"]);
  const known = new Map<string, Package>();
  for (let wanted = new Set(names); wanted.size > 0; ) {
    const args = [...INDEX_OPTIONS, "show", "--no-all-versions", ...wanted];
    const found = parsePackages(run("apt-cache", args, { encoding: "utf8" }));
    for (const each of found) known.set(each.name, each);
    const absent = [...wanted].filter((name) => !known.has(name));
    if (absent.length > 0)
      throw new Error(`apt knows no package ${absent}; look at its sources and run apt-get update`);
    const depends = found.filter(({ name }) => !isLeaf(name)).flatMap((each) => each.depends);
    wanted = new Set(depends.filter((name) => !known.has(name) && !NOT_NEEDED.has(name)));
  }
  return known;
}

/**
 * The package's file in the cache, downloaded when it is not there yet.
 * @throws Error when what was downloaded is not what apt's signed lists promise.
 */
export function download({ name, version, sha256 }: Package): string {
  const file = join(PACKAGE_CACHE, `${name}_${version.replaceAll(":", "%3a")}.deb`);
  if (existsSync(file) && sha256Of(file) === sha256) return file;
  mkdirSync(PACKAGE_CACHE, { recursive: true });
  const folder = mkdtempSync(join(PACKAGE_CACHE, "download-"));
  try {
    apt(["download", "--quiet", `${name}=${version}`], folder);
    const [fetched] = readdirSync(folder);
    if (fetched === undefined) throw new Error(`apt-get download left no file for ${name} ${version}`);
    const actual = sha256Of(join(folder, fetched));
    if (actual !== sha256) throw new Error(`${fetched} has sha256 ${actual}, but apt's lists say ${sha256}`);
    renameSync(join(folder, fetched), file);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return file;
}

/** Unpacks a package's files; none of its scripts is run. */
export function unpack(file: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  run("dpkg-deb", ["--extract", file, folder]);
}

export function sha256Of(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function apt(args: string[], cwd = "."): void {
  // As root apt would fetch as user _apt, who cannot write here.
  const options = ["-o", "APT::Sandbox::User=root", "-o", "Dpkg::Use-Pty=0"];
  run("apt-get", [...options, ...args], { cwd, stdio: ["ignore", "ignore", "inherit"] });
}
