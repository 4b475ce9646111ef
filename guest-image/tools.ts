/**
 * The programs that make the image, of the release that the image is of: whatever the host has, equal sources give equal bytes.
 * They are unpacked, not installed, and run by their own dynamic loader with their own libraries, so they need neither privilege
 * nor a host of that release. Run from the top folder: every path is relative to it, since search lists are split at colons.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isKernel, readLock, renderLock } from "./lock.ts";
import { download, unpack } from "./packages.ts";

const TOOLS = "out/guest-tools";
/** All of the lock's packages but the kernel, unpacked. */
export const PACKAGES_ROOT = join(TOOLS, "root");
/** The lock that the folder was made of; written last. */
const STAMP = join(TOOLS, "lock");

const LIBRARIES = ["usr/lib/x86_64-linux-gnu"];
const GCC = "usr/libexec/gcc/x86_64-linux-gnu/14";

interface Tool {
  /** Below the root. */
  program: string;
  args?: string[];
}

/** What the image is made with, and the programs that gcc starts, which it finds in a folder of their own. */
const PROGRAMS: Record<string, Tool> = {
  "bin/gcc": { program: "usr/bin/x86_64-linux-gnu-gcc-14", args: [`-B${TOOLS}/stages/`, `--sysroot=${PACKAGES_ROOT}`] },
  "bin/strip": { program: "usr/bin/x86_64-linux-gnu-strip" },
  "bin/depmod": { program: "usr/bin/kmod" },
  "bin/mkfs.erofs": { program: "usr/bin/mkfs.erofs" },
  "stages/as": { program: "usr/bin/x86_64-linux-gnu-as" },
  "stages/cc1": { program: `${GCC}/cc1` },
  "stages/collect2": { program: `${GCC}/collect2` },
  "stages/ld": { program: "usr/bin/x86_64-linux-gnu-ld.bfd" },
};

/** The path of one of the programs, for run(). */
export function tool(name: "strip" | "depmod" | "mkfs.erofs"): string {
  return join(TOOLS, "bin", name);
}

/** Unpacks the lock's packages and writes the commands, unless that was done for this lock. */
export function makeTools(): void {
  const lock = readLock();
  const text = renderLock(lock);
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === text) return;
  const made = `${TOOLS}.new`;
  rmSync(made, { recursive: true, force: true });
  const root = join(made, "root");
  // The links are those of base-files, which has more than is needed here.
  for (const folder of ["bin", "sbin", "lib", "lib64"]) {
    mkdirSync(join(root, "usr", folder), { recursive: true });
    symlinkSync(`usr/${folder}`, join(root, folder));
  }
  unpack(download(lock.packages.filter((each) => !isKernel(each))), root);
  for (const [path, { program, args = [] }] of Object.entries(PROGRAMS)) {
    mkdirSync(dirname(join(made, path)), { recursive: true });
    writeFileSync(join(made, path), command(path, program, args), { mode: 0o755 });
  }
  writeFileSync(join(made, "lock"), text);
  rmSync(TOOLS, { recursive: true, force: true });
  renameSync(made, TOOLS);
}

function command(path: string, program: string, args: string[]): string {
  const name = path.replace(/^bin\//, "");
  // gcc looks for its files beside the name that it was started by.
  const argv0 = name === "depmod" ? name : join(PACKAGES_ROOT, program);
  const words = [
    join(PACKAGES_ROOT, "usr/lib64/ld-linux-x86-64.so.2"),
    "--library-path",
    LIBRARIES.map((folder) => join(PACKAGES_ROOT, folder)).join(":"),
    "--argv0",
    argv0,
    join(PACKAGES_ROOT, program),
    ...args,
  ];
  return `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`;
}
