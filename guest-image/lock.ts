/** guest-image/packages.lock: the Debian packages that the image is made of and made with. */
import { readFileSync } from "node:fs";

export const LOCK_FILE = "guest-image/packages.lock";

/** `guest`: the image has files of it; `build`: only the programs that make the image come from it. */
export type Role = "guest" | "build";
const ROLES: readonly string[] = ["guest", "build"] satisfies Role[];

/** A line of the lock file. */
export interface LockedPackage {
  role: Role;
  name: string;
  version: string;
  sha256: string;
  /** Below the mirror's address. */
  path: string;
}

/** The lock file. */
export interface Lock {
  /** Code name of the Debian release. */
  suite: string;
  packages: LockedPackage[];
}

const HEAD = `# The Debian packages of the guest image: its release, then one line a package: role, name, version, sha256, path on the mirror.
# Written by \`make guest-lock\`; README.md says more.
`;

/** @throws Error that names the line which is none of the lock file. */
export function parseLock(text: string): Lock {
  const lock: Lock = { suite: "", packages: [] };
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const suite = line.match(/^suite ([a-z]+)$/)?.[1];
    const [role = "", name = "", version = "", sha256 = "", path = "", ...rest] = line.split(" ");
    if (suite !== undefined && lock.suite === "") lock.suite = suite;
    else if (
      isPackage(role, name, version, sha256, path) &&
      rest.length === 0 &&
      !lock.packages.some((each) => each.name === name)
    )
      lock.packages.push({ role: role as Role, name, version, sha256, path });
    else
      throw new Error(
        `${LOCK_FILE}, line ${index + 1}: "${line}" is neither "suite NAME" nor a package that is not there yet`,
      );
  }
  if (lock.suite === "") throw new Error(`${LOCK_FILE} names no suite`);
  return lock;
}

function isPackage(role: string, name: string, version: string, sha256: string, path: string): boolean {
  return (
    ROLES.includes(role) &&
    /^[a-z0-9][a-z0-9.+-]+$/.test(name) &&
    /^[0-9][A-Za-z0-9.+:~-]*$/.test(version) &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    /^pool\/[A-Za-z0-9.+:~_/-]+\.deb$/.test(path) &&
    !path.includes("..")
  );
}

/** The text of a lock file: the same for the same packages, whatever their order. */
export function renderLock({ suite, packages }: Lock): string {
  const lines = ROLES.flatMap((wanted) =>
    packages
      .filter(({ role }) => role === wanted)
      .map(({ role, name, version, sha256, path }) => `${role} ${name} ${version} ${sha256} ${path}\n`)
      .sort(),
  );
  return `${HEAD}suite ${suite}\n${lines.join("")}`;
}

export function isKernel({ name }: { name: string }): boolean {
  return name.startsWith("linux-image-");
}

/** @throws Error that says which line of the file is wrong. */
export function readLock(): Lock {
  return parseLock(readFileSync(LOCK_FILE, "utf8"));
}

/** What changed from one lock to another, a line a package; none when nothing did. */
export function lockChanges(before: LockedPackage[], after: LockedPackage[]): string[] {
  const old = new Map(before.map((each) => [each.name, each]));
  const now = new Map(after.map((each) => [each.name, each]));
  return [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((name) => {
    const [from, to] = [old.get(name), now.get(name)];
    if (from === undefined) return `${name}: new, ${to?.version}`;
    if (to === undefined) return `${name}: ${from.version} -> gone`;
    if (from.version !== to.version) return `${name}: ${from.version} -> ${to.version}`;
    if (from.sha256 !== to.sha256) return `${name}: ${from.version}, other bytes`;
    return from.role === to.role ? [] : `${name}: ${from.role} -> ${to.role}`;
  });
}
