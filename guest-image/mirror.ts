import { readFileSync } from "node:fs";
import { linesOf } from "./modules.ts";
import { run } from "./run.ts";

/** Names another mirror than apt's: a host that is no Debian has none, and a snapshot keeps what a mirror has no longer. */
const VARIABLE = "GUEST_MIRROR";

/**
 * The address of the Debian mirror that packages come from: $GUEST_MIRROR, or the first one of this machine's apt sources.
 * @throws Error when there is none.
 */
export function debianMirror(environment: NodeJS.ProcessEnv = process.env, sites: () => string = aptSites): string {
  const mirror = environment[VARIABLE] || sites().split("\n")[0];
  if (mirror) return listed(mirror).replace(/\/+$/, "");
  throw new Error(
    `the guest's packages come from a Debian mirror, and apt knows none on this machine. Set ${VARIABLE} to the address of one`,
  );
}

/** Images for clouds name a file that lists mirrors (apt-transport-mirror(1)), which apt follows for its own indexes only. */
function listed(mirror: string): string {
  const path = mirror.match(/^mirror\+file:(?:\/\/)?(\/.*?)\/*$/)?.[1];
  if (path === undefined) return mirror;
  const address = linesOf(readFileSync(path, "utf8"))[0]?.split(/\s/)[0];
  if (address === undefined) throw new Error(`${path}, which apt's sources name, lists no mirror`);
  return address;
}

/** A line a source; apt knows whose they are when it has their lists. */
function aptSites(): string {
  const list = () =>
    run(
      "apt-get",
      ["indextargets", "--format", "$(SITE)", "Created-By: Packages", "Label: Debian", "Component: main"],
      {
        encoding: "utf8",
      },
    );
  const known = list();
  if (known !== "" || process.getuid?.() !== 0) return known;
  run("apt-get", ["update", "--quiet"], { stdio: ["ignore", "ignore", "inherit"] });
  return list();
}
