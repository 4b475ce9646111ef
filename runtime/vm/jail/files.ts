/** What a QEMU must find in its jail. */
import { existsSync, lstatSync, readlinkSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const LIMIT_MS = 10_000;
/** Where a QEMU looks for its modules (accelerators, mostly), seen from its own folder; Debian's are among its libraries. */
const MODULES = ["../lib/qemu", "../lib64/qemu", "../libexec/qemu"];
/** What the kernel follows of them in one path (path_resolution(7)). */
const SYMBOLIC_LINKS = 40;
/** The cache of libraries' places, for those that are in none of the usual ones (ld.so(8)). */
const LIBRARY_CACHE = "/etc/ld.so.cache";

/**
 * Asks a QEMU which of the host's files it reads by itself: the program, and the folders of its libraries, modules and
 * firmware.
 * @returns absolute paths of what is there, each once.
 */
export async function jailFiles(path: string): Promise<string[]> {
  const libraries = (await linesOf(path, ["--version"], { LD_TRACE_LOADED_OBJECTS: "1" })).flatMap(libraryPath);
  const firmware = (await linesOf(path, ["-L", "help"])).filter((line) => line.startsWith("/"));
  const modules = MODULES.map((folder) => join(dirname(path), folder));
  const all = [path, LIBRARY_CACHE, ...libraries.flatMap(foldersTo), ...firmware, ...modules].map((each) =>
    resolve(each),
  );
  return [...new Set(all)].filter((each) => existsSync(each));
}

/** The path in a line that the dynamic linker prints about a program: `libc.so.6 => /lib/libc.so.6 (0x...)`. */
export function libraryPath(line: string): string[] {
  const path = /(?:^|=>)\s*(\/.*) \(0x[0-9a-f]+\)$/.exec(line.trim())?.[1];
  return path === undefined ? [] : [path];
}

/**
 * The folders that a library is looked up in: its own, that of each file which a symbolic link leads to, as the link has it, and
 * the one which has the library in the end. In the jail /lib is no symbolic link to usr/lib, as it may be on the host.
 */
export function foldersTo(library: string): string[] {
  const folders = [dirname(library)];
  let at = library;
  while (folders.length <= SYMBOLIC_LINKS && lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink()) {
    at = resolve(dirname(at), readlinkSync(at));
    folders.push(dirname(at));
  }
  return existsSync(library) ? [...folders, dirname(realpathSync(library))] : folders;
}

/** The lines that a program prints; none when it does not run, whose reason the question for its version tells. */
async function linesOf(path: string, words: readonly string[], env: Record<string, string> = {}): Promise<string[]> {
  const { execa } = await import("execa");
  const { stdout } = await execa(path, words, {
    env,
    reject: false,
    timeout: LIMIT_MS,
    maxBuffer: 256 * 1024,
    stdin: "ignore",
  });
  return stdout.split("\n");
}
