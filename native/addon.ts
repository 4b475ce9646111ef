import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * Loads one of our addons: from the `native` folder beside a bundle, or from out/native of the checkout when the sources
 * run as they are.
 * @throws an Error that names the file, when it is missing or was built for something else.
 */
export function loadAddon(name: "snapshot" | "posix" | "vsock" | "seccomp"): unknown {
  const module: { exports: unknown } = { exports: {} };
  process.dlopen(module, builtFile(`${name}.node`));
  return module.exports;
}

/** The absolute path of a file that native.mk makes. */
export function builtFile(name: string): string {
  // In a bundle this is the folder of the bundle; it has no import.meta.url, so createRequire() cannot be used.
  const folder = import.meta.dirname;
  const bundled = join(folder, "native", name);
  return existsSync(bundled) ? bundled : join(folder, "..", "out", "native", name);
}
