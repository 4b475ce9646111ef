import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Something the image is made of: what it is, which version, and the sha256 of its bytes. */
export interface Input {
  name: string;
  version: string;
  sha256: string;
}

/** A file of the finished image. */
export interface Output {
  file: string;
  bytes: number;
  sha256: string;
}

/** out/image/manifest.json. */
export interface Manifest {
  format: 1;
  /** sha256 over all inputs: equal images have equal ids. Templates are keyed by it. */
  id: string;
  /** The kernel's release (`uname -r`), e.g. "6.12.117+deb13-amd64". */
  kernelRelease: string;
  inputs: Input[];
  outputs: Output[];
  /** Names of modules.txt which this kernel has not. */
  absentModules: string[];
}

/** The identity of an image made of these inputs, whatever their order. */
export function imageId(inputs: Input[]): string {
  const lines = inputs.map(({ name, version, sha256 }) => `${name}\t${version}\t${sha256}\n`).sort();
  return createHash("sha256").update(lines.join("")).digest("hex");
}

/**
 * Whether `folder` holds a whole image made of exactly these inputs: the manifest is written last, and every output it
 * names has its size. A manifest that cannot be read counts as none.
 */
export function isUpToDate(folder: string, id: string): boolean {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
    return (
      manifest.format === 1 &&
      manifest.id === id &&
      manifest.outputs.every(({ file, bytes }) => {
        const path = join(folder, file);
        return existsSync(path) && statSync(path).size === bytes;
      })
    );
  } catch {
    return false;
  }
}
