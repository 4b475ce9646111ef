import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { withoutSignature } from "./module-signature.ts";
import { linesOf, loadOrder, type ModuleIndex, moduleName, parseModuleIndex } from "./modules.ts";
import { run } from "./run.ts";
import { tool } from "./tools.ts";

/** A kernel package's modules, unpacked. */
export interface KernelModules {
  release: string;
  /** Holds `kernel/...`. */
  folder: string;
  index: ModuleIndex;
}

/** What the package's own build left beside the modules, and depmod reads. */
const FROM_THE_BUILD = ["modules.builtin", "modules.builtin.modinfo", "modules.order"];

/** Reads the modules of the one kernel in an unpacked package. */
export function readKernelModules(unpacked: string): KernelModules {
  // The package's modules are in /usr/lib, and depmod looks for them in /lib.
  symlinkSync("usr/lib", join(unpacked, "lib"));
  const releases = readdirSync(join(unpacked, "lib/modules"));
  const [release] = releases;
  if (release === undefined || releases.length > 1) {
    throw new Error(`the kernel package has the modules of ${releases.length} kernels (${releases}) in place of one`);
  }
  const folder = join(unpacked, "lib/modules", release);
  run(tool("depmod"), ["--basedir", unpacked, release]);
  const read = (name: string) => readFileSync(join(folder, `modules.${name}`), "utf8");
  const index = parseModuleIndex({
    dep: read("dep"),
    softdep: read("softdep"),
    alias: read("alias"),
    builtin: read("builtin"),
  });
  return { release, folder, index };
}

/** The modules that modules.txt asks for, those they need included, and the names that this kernel does not know. */
export function selectModules(index: ModuleIndex, text: string): { selected: string[]; absent: string[] } {
  const known = (name: string) => index.paths.has(moduleName(name)) || index.builtIn.has(moduleName(name));
  const names = linesOf(text).flatMap((line) => {
    if (!line.endsWith("/")) return line;
    const all = [...index.paths].filter(([, path]) => path.startsWith(line)).map(([name]) => name);
    return all.length > 0 ? all : line;
  });
  return { selected: loadOrder(index, names.filter(known)), absent: names.filter((name) => !known(name)) };
}

/** Path of a module in the root, from `/`; it is kept there uncompressed, for PID 1 has no decompressor. */
export function pathInRoot({ release, index }: KernelModules, name: string): string {
  const path = index.paths.get(name);
  if (path === undefined) throw new Error(`the kernel has no module ${name}`);
  return `/usr/lib/modules/${release}/${path.replace(/\.ko\.\w+$/, ".ko")}`;
}

/** Copies modules into the root and writes the index that modprobe reads there. */
export function installModules(kernel: KernelModules, names: string[], root: string): void {
  for (const name of names) {
    const source = join(kernel.folder, kernel.index.paths.get(name) ?? "");
    const target = join(root, pathInRoot(kernel, name));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, withoutSignature(readModule(source)), { mode: 0o644 });
  }
  const folder = join(root, "usr/lib/modules", kernel.release);
  for (const name of FROM_THE_BUILD) copyFileSync(join(kernel.folder, name), join(folder, name));
  run(tool("depmod"), ["--basedir", root, kernel.release]);
}

function readModule(file: string): Buffer {
  if (file.endsWith(".xz")) return run("xz", ["-dc", file], { maxBuffer: 1 << 28 });
  if (file.endsWith(".zst")) return zstdDecompressSync(readFileSync(file));
  return readFileSync(file);
}
