import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { neededLibraries } from "./elf.ts";
import { run } from "./run.ts";
import { tool } from "./tools.ts";

/** Where Debian amd64 has its libraries and its dynamic loader. */
const LIBRARIES = "usr/lib/x86_64-linux-gnu";
const LOADERS = "usr/lib64";

/** The folders of the root that other file systems are mounted on, and those a program may expect to be there. */
const FOLDERS = [
  "dev",
  "etc",
  "proc",
  "root",
  "run",
  "sys",
  "tmp",
  "usr/bin",
  "usr/sbin",
  "usr/lib64",
  LIBRARIES,
  "var",
];
const LINKS = {
  bin: "usr/bin",
  sbin: "usr/sbin",
  lib: "usr/lib",
  lib64: "usr/lib64",
  "var/run": "../run",
  "var/tmp": "../tmp",
};

/** Files of /etc: enough for a C library to look names up without a surprise. */
const ETC_FILES = {
  passwd: "root:x:0:0:root:/root:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
  group: "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
  hostname: "caisson\n",
  hosts: "127.0.0.1 localhost caisson\n::1 localhost\n",
};

/** Makes the empty skeleton of a root. */
export function makeSkeleton(root: string): void {
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
  for (const [link, target] of Object.entries(LINKS)) symlinkSync(target, join(root, link));
  for (const [name, text] of Object.entries(ETC_FILES)) writeFileSync(join(root, "etc", name), text);
}

/** Copies one file into the root, with the mode that a program or a plain file has. */
export function install(source: string, root: string, path: string, options: { executable: boolean }): void {
  const target = join(root, path);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(realpathSync(source), target);
  chmodSync(target, options.executable ? 0o755 : 0o644);
}

/**
 * Copies the shared libraries that the given files of the root need, and those which these need, out of unpacked
 * packages: never out of the host's own folders.
 * @throws Error when no package has one of them.
 */
export function installLibraries(root: string, files: string[], packages: string): string[] {
  const installed = new Map<string, string>();
  const queue = files.map((file) => join(root, file));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    for (const library of neededLibraries(readFileSync(file))) {
      if (installed.has(library)) continue;
      const isLoader = library.startsWith("ld-linux");
      const path = join(isLoader ? LOADERS : LIBRARIES, library);
      const source = join(packages, path);
      if (!existsSync(source)) {
        throw new Error(`${basename(file)} needs ${library}, which none of the unpacked packages has`);
      }
      install(source, root, path, { executable: isLoader });
      installed.set(library, path);
      queue.push(join(root, path));
    }
  }
  return [...installed.values()].sort();
}

/** Removes what only a debugger reads. */
export function strip(file: string): void {
  run(tool("strip"), ["--strip-all", file]);
}

/** Packs a folder into an erofs image: every file owned by root, every time zero, the volume's id fixed. */
export function packErofs(folder: string, image: string): void {
  const args = ["--quiet", "--all-root", "-T0", "-U00000000-0000-0000-0000-000000000000", "-x-1", image, folder];
  run(tool("mkfs.erofs"), args, { stdio: ["ignore", "ignore", "inherit"] });
}
