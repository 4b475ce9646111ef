/** What a Debian release has now, asked of an apt with sources, lists and state of its own. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "./run.ts";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const ARCHITECTURE = "amd64";

/** A Debian package as apt would install it now. */
export interface Candidate {
  name: string;
  version: string;
  sha256: string;
  path: string;
  /** Names of what it depends on, the first of each group of alternatives. */
  depends: string[];
}

/**
 * Parses what `apt-cache show` prints.
 * @throws Error when a record lacks a field that a package always has.
 */
export function parseCandidates(text: string): Candidate[] {
  return text
    .split(/\n\n+/)
    .filter((record) => record.trim() !== "")
    .map((record) => {
      const field = (name: string) => record.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1];
      const required = (name: string) => {
        const value = field(name);
        if (value === undefined) throw new Error(`apt-cache show printed a record without the field ${name}`);
        return value;
      };
      const depends = [field("Pre-Depends"), field("Depends")].filter((list) => list !== undefined).join(", ");
      return {
        name: required("Package"),
        version: required("Version"),
        sha256: required("SHA256"),
        path: required("Filename"),
        depends: depends
          .split(",")
          .map((group) => group.trim().match(/^[a-z0-9][a-z0-9.+-]*/)?.[0])
          .filter((name) => name !== undefined),
      };
    });
}

/**
 * Makes the folder of an apt that knows one release on one mirror and nothing of this machine's packages, and reads the lists of it.
 * @returns what its programs have to be told. @throws Error when the mirror does not have them, or they are not Debian's.
 */
export function aptRoot(folder: string, mirror: string, suite: string): string[] {
  const at = (...names: string[]) => resolve(folder, ...names);
  for (const each of ["lists/partial", "cache/archives/partial"]) mkdirSync(at(each), { recursive: true });
  const signed = existsSync(KEYRING) ? ` signed-by=${KEYRING}` : "";
  writeFileSync(at("sources.list"), `deb [arch=${ARCHITECTURE}${signed}] ${mirror} ${suite} main\n`);
  writeFileSync(at("status"), "");
  const options = {
    "APT::Architecture": ARCHITECTURE,
    "APT::Sandbox::User": "root",
    "Dir::Cache": at("cache"),
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::Etc::sourcelist": at("sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::State": at("."),
    "Dir::State::lists": at("lists"),
    "Dir::State::status": at("status"),
  };
  const args = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  try {
    run("apt-get", [...args, "-o", "APT::Update::Error-Mode=any", "update", "--quiet"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    throw new Error(`the package lists of ${suite} could not be read from ${mirror}: ${said}`);
  }
  return args;
}

/**
 * The candidates of the named packages and of all that they depend on, by name.
 * @param isLeft names the packages that do not count, nor what only they depend on.
 * @throws Error when apt does not know one of them.
 */
export function closure(apt: string[], names: string[], isLeft: (name: string) => boolean): Map<string, Candidate> {
  const known = new Map<string, Candidate>();
  for (let wanted = new Set(names); wanted.size > 0; ) {
    const found = parseCandidates(
      run("apt-cache", [...apt, "show", "--no-all-versions", ...wanted], { encoding: "utf8" }),
    );
    for (const each of found) known.set(each.name, each);
    const absent = [...wanted].filter((name) => !known.has(name));
    if (absent.length > 0) throw new Error(`the release has no package ${absent.join(", ")}`);
    const depends = found.flatMap((each) => each.depends);
    wanted = new Set(depends.filter((name) => !known.has(name) && !isLeft(name)));
  }
  return known;
}
