/** Debian's kernel with all its modules, unpacked from its package: what the outer VM boots. */
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { execaSync } from "execa";
import { isKernel, readLock } from "../../guest-image/lock.ts";
import { download, unpack } from "../../guest-image/packages.ts";

const OUT = resolve(import.meta.dirname, "../../out");

export interface Kernel {
  version: string;
  image: string;
  /** What modprobe and depmod call the base directory: lib/modules is in it. */
  folder: string;
}

/**
 * The kernel of the guest image; unpacked below out/ on first use, some 10 s.
 * @throws Error when it cannot be fetched.
 */
export function prepareKernel(): Kernel {
  const kernel = readLock().packages.find(isKernel);
  if (kernel === undefined) throw new Error("guest-image/packages.lock names no kernel");
  const version = kernel.name.slice("linux-image-".length);
  const folder = join(OUT, "test-vsock", `${kernel.name}_${kernel.version}`);
  if (!existsSync(folder)) {
    const unpacking = `${folder}.new`;
    rmSync(unpacking, { recursive: true, force: true });
    mkdirSync(unpacking, { recursive: true });
    unpack(download([kernel]), unpacking);
    symlinkSync("usr/lib", join(unpacking, "lib"));
    execaSync("/sbin/depmod", ["--basedir", unpacking, version]);
    renameSync(unpacking, folder);
  }
  return { version, image: join(folder, "boot", `vmlinuz-${version}`), folder };
}
