import { closeSync, constants, openSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { CloneSource } from "../../vm/machine.ts";
import type { VmSpec } from "../../vm/spec.ts";
import { recallKey, templateInputs } from "./key.ts";
import { type Manifest, readManifest, sealHolds } from "./manifest.ts";

export const MEMORY_FILE = "memory";
export const STATE_FILE = "state";
export const MANIFEST_FILE = "template.json";

/**
 * A saved VM, opened for one clone: it stays usable while it is open, even if the template is removed or its image
 * replaced meanwhile.
 */
export interface Template extends CloneSource, Disposable {
  readonly key: string;
  /** Where it is, if it has not been removed meanwhile. */
  readonly folder: string;
  readonly manifest: Manifest;
  /** Closes the descriptors; may be called again. A clone that has started does not need them. */
  close(): void;
}

/**
 * Opens the template of a VM in the store's folder.
 * @returns undefined when there is none, or it is not exactly as it was when it was finished.
 * @throws the error of an input (kernel, image, ...) that cannot be opened.
 */
export function openTemplate(directory: string, spec: VmSpec): Template | undefined {
  const descriptors: number[] = [];
  const open = (path: string): number => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    descriptors.push(fd);
    return fd;
  };
  let opened = false;
  try {
    const imageFd = openSync(spec.image, "r");
    descriptors.push(imageFd);
    const { key, keep } = recallKey(spec, templateInputs(spec, imageFd), directory);
    const folder = join(directory, key);
    const files = openFiles(folder, open);
    if (files === undefined || files.manifest.key !== key) return undefined;
    keep();
    opened = true;
    return new OpenTemplate(folder, files.manifest, imageFd, files.memoryFd, files.stateFd);
  } finally {
    if (!opened) for (const fd of descriptors) closeSync(fd);
  }
}

/** What a template's folder holds, opened, if its files are the sealed ones. */
export function openFiles(
  folder: string,
  open: (path: string) => number,
): { manifest: Manifest; memoryFd: number; stateFd: number } | undefined {
  try {
    const manifest = readManifest(join(folder, MANIFEST_FILE));
    const memoryFd = open(join(folder, MEMORY_FILE));
    const stateFd = open(join(folder, STATE_FILE));
    if (!sealHolds(memoryFd, manifest.memory) || !sealHolds(stateFd, manifest.state)) return undefined;
    markUsed(join(folder, MANIFEST_FILE));
    return { manifest, memoryFd, stateFd };
  } catch {
    // Missing, half removed or garbled: one and the same to whoever wants to clone.
    return undefined;
  }
}

/** The manifest's time of change tells when the template was last used; on a file system that is read-only nothing can. */
function markUsed(manifest: string): void {
  const now = Date.now() / 1000;
  try {
    utimesSync(manifest, now, now);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EROFS") throw error;
  }
}

class OpenTemplate implements Template {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly imageFd: number;
  readonly memoryFd: number;
  readonly stateFd: number;
  #open = true;

  constructor(folder: string, manifest: Manifest, imageFd: number, memoryFd: number, stateFd: number) {
    this.folder = folder;
    this.manifest = manifest;
    this.imageFd = imageFd;
    this.memoryFd = memoryFd;
    this.stateFd = stateFd;
  }

  get key(): string {
    return this.manifest.key;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const fd of [this.imageFd, this.memoryFd, this.stateFd]) closeSync(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
