/** Debian's kernel with all its modules, unpacked from its package: what the outer VM boots. */

import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { execaSync } from "execa";
import { download, lookUp, unpack } from "../../guest-image/packages.ts";

const OUT = resolve(import.meta.dirname, "../../out");

export interface Kernel {
  version: string;
  image: string;
  /** What modprobe and depmod call the base directory: lib/modules is in it. */
  folder: string;
}

/**
 * The newest kernel that apt knows; unpacked below out/ on first use, some 10 s.
 * @throws Error when apt knows none or cannot fetch it.
 */
export function prepareKernel(): Kernel {
  const [meta] = lookUp(["linux-image-amd64"]);
  const name = meta?.depends.find((each) => /^linux-image-\d/.test(each));
  if (name === undefined) throw new Error("The package linux-image-amd64 does not depend on a kernel of a known name.");
  const version = name.slice("linux-image-".length);
  const folder = join(OUT, "test-vsock", name);
  if (!existsSync(folder)) {
    const unpacking = `${folder}.new`;
    rmSync(unpacking, { recursive: true, force: true });
    mkdirSync(unpacking, { recursive: true });
    for (const each of lookUp([name])) unpack(download(each, join(OUT, "packages")), unpacking);
    execaSync("/sbin/depmod", ["--basedir", unpacking, version]);
    renameSync(unpacking, folder);
  }
  return { version, image: join(folder, "boot", `vmlinuz-${version}`), folder };
}
