/** Root file systems with the software that the workloads are about. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HERE = import.meta.dirname;
const CACHE = join(HERE, "../../out/workloads");
const MAKE = join(HERE, "rootfs.sh");
/** Also with a slow mirror. */
const MAKE_LIMIT_MS = 500_000;
const NPM = "npm@10.9.2";

export const QUICK_PACKAGES = "acl attr git iputils-ping libcap2-bin make procps python3 sqlite3 util-linux";
export const ALL_PACKAGES = `${QUICK_PACKAGES} ca-certificates gcc libc6-dev mariadb-server nodejs openssh-client openssh-server postgresql redis-server`;

/** A folder with one; removed when disposed of. */
export class WorkloadRootfs implements Disposable {
  readonly directory: string;
  readonly path: string;

  /**
   * Takes the archive from out/workloads, where it is made for the first one that asks.
   * @param above the folder that gets it.
   * @throws Error when it is not there and cannot be made, as without a mirror of Debian.
   */
  constructor(packages: string, above = tmpdir()) {
    this.directory = mkdtempSync(join(above, "caisson-workloads-"));
    this.path = join(this.directory, "rootfs");
    try {
      mkdirSync(this.path);
      const extract = ["--extract", "--file", archive(packages), "--directory", this.path];
      execFileSync("tar", [...extract, "--numeric-owner", "--xattrs", "--xattrs-include=*"]);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Adds npm from its registry: Debian has it as hundreds of packages.
   * @throws Error without the registry.
   */
  addNpm(): void {
    execFileSync("npm", ["pack", "--silent", NPM], { cwd: this.directory, stdio: ["ignore", "ignore", "pipe"] });
    const modules = join(this.path, "usr/local/lib/node_modules/npm");
    mkdirSync(modules, { recursive: true });
    const file = join(this.directory, `${NPM.replace("@", "-")}.tgz`);
    execFileSync("tar", ["-xf", file, "--strip-components=1", "--no-same-owner", "-C", modules]);
    symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(this.path, "usr/local/bin/npm"));
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function archive(packages: string): string {
  const key = createHash("sha256").update(readFileSync(MAKE)).update(packages).digest("hex").slice(0, 12);
  const file = join(CACHE, `${key}.tar`);
  if (existsSync(file)) return file;
  mkdirSync(CACHE, { recursive: true });
  execFileSync(MAKE, [file, ...packages.split(" ")], { stdio: ["ignore", "ignore", "pipe"], timeout: MAKE_LIMIT_MS });
  return file;
}
