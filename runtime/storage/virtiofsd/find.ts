import { accessSync, constants, realpathSync } from "node:fs";
import { CaissonError } from "../../../protocol/errors.ts";
import { factFile, recall, remember } from "../../vm/host-cache.ts";
import { fileIdentity } from "../../vm/qemu.ts";

/** Where distributions put it: Debian's Rust one, Debian 12's in C, Fedora's and Arch's, Alpine's. */
const PLACES = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"];
const VERSION_LIMIT_MS = 10_000;

/** `c`: QEMU's own, up to QEMU 7.2. `rust`: its successor. Their command lines differ. */
export type Flavour = "c" | "rust";

/** A virtiofsd that can be run. */
export interface Virtiofsd {
  /** Absolute, symbolic links resolved. */
  path: string;
  flavour: Flavour;
  /** The version as virtiofsd says it itself. */
  version: string;
}

/**
 * Finds virtiofsd: `configured` if given, else where distributions put it. Its version is asked for once for each binary and kept in `directory`, if there
 * is one.
 * @throws CAISSON_E_HOST when there is none, or it cannot say what it is.
 */
export async function findVirtiofsd(directory: string | undefined, configured?: string): Promise<Virtiofsd> {
  const path = locate(configured === undefined ? PLACES : [configured]);
  const file = factFile(directory, "virtiofsd.json");
  const key = fileIdentity(path);
  const output = recall(file, key, (value) => (typeof value === "string" ? value : undefined)) ?? (await ask(path));
  const found = parseVersion(output);
  if (found === undefined) {
    const said = JSON.stringify(output.slice(0, 200));
    throw new CaissonError(
      "CAISSON_E_HOST",
      `cannot use ${path}: it is no virtiofsd that Caisson knows, it says ${said}`,
      {
        remedy: REMEDY,
      },
    );
  }
  remember(file, key, output);
  return { path, ...found };
}

const REMEDY =
  "Install the package virtiofsd, or on Debian 12 qemu-system-common, or name another one in the setting virtiofsd.";

function locate(places: readonly string[]): string {
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      return realpathSync(place);
    } catch {
      // Not here.
    }
  }
  throw new CaissonError(
    "CAISSON_E_HOST",
    `cannot share files with the VM: there is no virtiofsd at ${places.join(", ")}`,
    { field: "virtiofsd", remedy: REMEDY },
  );
}

/** What `virtiofsd --version` prints, or undefined when that is no such thing. */
export function parseVersion(output: string): Omit<Virtiofsd, "path"> | undefined {
  const c = /^virtiofsd version (\d[\w.]*)/.exec(output)?.[1];
  if (c !== undefined) return { flavour: "c", version: c };
  const rust = /^virtiofsd (\d[\w.-]*)/.exec(output)?.[1];
  return rust === undefined ? undefined : { flavour: "rust", version: rust };
}

async function ask(path: string): Promise<string> {
  const { execa } = await import("execa");
  const { stdout, failed, shortMessage } = await execa(path, ["--version"], {
    timeout: VERSION_LIMIT_MS,
    reject: false,
    stdin: "ignore",
    maxBuffer: 64 * 1024,
  });
  if (failed) throw new CaissonError("CAISSON_E_HOST", `cannot ask ${path} for its version: ${shortMessage}`);
  return stdout;
}
