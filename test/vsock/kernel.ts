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
  const isKernel = (name: string) => /^linux-image-\d/.test(name);
  const kernel = [...lookUp(["linux-image-amd64"], isKernel).values()].find(({ name }) => isKernel(name));
  if (kernel === undefined)
    throw new Error("The package linux-image-amd64 does not depend on a kernel of a known name.");
  const version = kernel.name.slice("linux-image-".length);
  const folder = join(OUT, "test-vsock", `${kernel.name}_${kernel.version}`);
  if (!existsSync(folder)) {
    const unpacking = `${folder}.new`;
    rmSync(unpacking, { recursive: true, force: true });
    mkdirSync(unpacking, { recursive: true });
    unpack(download(kernel), unpacking);
    execaSync("/sbin/depmod", ["--basedir", unpacking, version]);
    renameSync(unpacking, folder);
  }
  return { version, image: join(folder, "boot", `vmlinuz-${version}`), folder };
}
