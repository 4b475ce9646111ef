import { closeSync, mkdtempSync, openSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { constants, flock } from "../../../native/posix/index.ts";
import { CaissonError } from "../../../protocol/errors.ts";
import { isSystemError, systemErrorSentence } from "../../text/errors.ts";
import { fileIdentity } from "../../vm/qemu.ts";
import type { VmSpec } from "../../vm/spec.ts";
import { endForkServer, forkServerPid } from "../fork-server/fork-server.ts";
import { type BuildOptions, buildTemplate, type Warm } from "./build.ts";
import { forgetKeys, TEMPLATE_KEY } from "./key.ts";
import { contentHolds, type Manifest, readManifest, sealHolds } from "./manifest.ts";
import { bytesToFree, makePrivateFolder, templateBytes } from "./space.ts";
import { MANIFEST_FILE, MEMORY_FILE, openTemplate, STATE_FILE, type Template } from "./template.ts";

/** The part of the tmpfs that templates may take; the rest is the host's own, and what clones write to (their pages are charged elsewhere). */
const DEFAULT_SHARE = 0.5;
const UNUSED_MS = 7 * 24 * 3600 * 1000;
const LOCK_RETRY_MS = 25;

export interface StoredTemplate {
  key: string;
  /** Bytes of the tmpfs it takes. */
  bytes: number;
  /** Milliseconds since the epoch. */
  lastUsedMs: number;
  /** `usable`: can be cloned. `stale`: made from files that are no more. `broken`: changed since it was made. */
  condition: "usable" | "stale" | "broken";
  /** Process id of its fork server; absent when it has none. */
  forkServer?: number;
  /** What it was made from; absent when it is too broken to tell. */
  manifest?: Manifest;
}

/** The templates of this host, in one folder on a tmpfs. */
export class TemplateStore {
  readonly directory: string;
  readonly #share: number;

  /**
   * @param share how much of the folder's file system templates may take together, 0 to 1; half by default.
   * @throws CAISSON_E_TEMPLATE when the folder cannot be made or is not safe to use.
   */
  constructor(directory: string, share = DEFAULT_SHARE) {
    makePrivateFolder(directory);
    this.directory = directory;
    this.#share = share;
  }

  /** The template of a VM, if there is a sound one. A few system calls, no lock. */
  open(spec: VmSpec): Template | undefined {
    return openTemplate(this.directory, spec);
  }

  /**
   * The template of a VM, built first if there is none: by one of all who ask at once, the others wait for it.
   * @throws CAISSON_E_TEMPLATE when there is no room or it cannot be saved; what building it throws.
   */
  async prepare(spec: VmSpec, warm: Warm, options: BuildOptions): Promise<Template> {
    const ready = this.open(spec);
    if (ready !== undefined) return ready;
    try {
      return await this.#build(spec, warm, options);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      throw new CaissonError("CAISSON_E_TEMPLATE", systemErrorSentence(`keep a template in ${this.directory}`, error), {
        cause: error,
        remedy: "Make that folder writable, or configure another folder for templates.",
      });
    }
  }

  async #build(spec: VmSpec, warm: Warm, options: BuildOptions): Promise<Template> {
    return await this.#locked(options.signal, async () => {
      const built = this.open(spec);
      if (built !== undefined) return built;
      this.#dropLeftovers();
      this.#makeRoom(templateBytes(spec.memoryMib));
      const folder = mkdtempSync(join(this.directory, ".build-"));
      try {
        const key = await buildTemplate(folder, spec, warm, options);
        this.#discard(key);
        renameSync(folder, join(this.directory, key));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
      const template = this.open(spec);
      if (template === undefined) {
        throw new CaissonError("CAISSON_E_TEMPLATE", `the template just built in ${this.directory} cannot be opened`);
      }
      return template;
    });
  }

  /** All templates, the least recently used first. */
  list(): StoredTemplate[] {
    return readdirSync(this.directory)
      .filter((name) => TEMPLATE_KEY.test(name))
      .map((key) => describe(join(this.directory, key), key))
      .filter((template) => template !== undefined)
      .sort((a, b) => a.lastUsedMs - b.lastUsedMs);
  }

  /** Whether a template still has, byte for byte, the content it was made with. Reads all of it. */
  async verify(key: string): Promise<boolean> {
    const folder = this.#folder(key);
    try {
      const manifest = readManifest(join(folder, MANIFEST_FILE));
      return (
        (await fileHolds(join(folder, MEMORY_FILE), manifest.memory)) &&
        (await fileHolds(join(folder, STATE_FILE), manifest.state))
      );
    } catch {
      return false;
    }
  }

  /**
   * Removes a template, and ends its fork server; its clones keep what they have mapped.
   * @returns false when there was none.
   */
  remove(key: string): boolean {
    this.#folder(key);
    return this.#discard(key);
  }

  /** Ends a template's fork server, if it has one; what it has forked goes on. */
  endForkServer(key: string): void {
    endForkServer(this.#folder(key));
  }

  #folder(key: string): string {
    if (TEMPLATE_KEY.test(key)) return join(this.directory, key);
    throw new CaissonError(
      "CAISSON_E_USAGE",
      `there is no template "${key}": a template goes by 32 hexadecimal digits`,
    );
  }

  /** Renamed first: whoever opens templates meanwhile finds a whole one or none. */
  #discard(key: string): boolean {
    const bin = mkdtempSync(join(this.directory, ".bin-"));
    try {
      renameSync(join(this.directory, key), join(bin, key));
      endForkServer(join(bin, key));
      forgetKeys(this.directory);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    } finally {
      rmSync(bin, { recursive: true, force: true });
    }
  }

  /** Under the lock only: what builders that were killed left, and templates nobody can or does use any more. */
  #dropLeftovers(): void {
    for (const name of readdirSync(this.directory)) {
      if (name.startsWith(".build-") || name.startsWith(".bin-")) {
        rmSync(join(this.directory, name), { recursive: true, force: true });
      }
    }
    const oldest = Date.now() - UNUSED_MS;
    for (const { key, condition, lastUsedMs } of this.list()) {
      if (condition !== "usable" || lastUsedMs < oldest) this.#discard(key);
    }
  }

  #makeRoom(neededBytes: number): void {
    const templates = this.list();
    const used = templates.reduce((sum, { bytes }) => sum + bytes, 0);
    let missing = bytesToFree(this.directory, this.#share, used, neededBytes);
    if (missing === Number.POSITIVE_INFINITY) {
      throw new CaissonError(
        "CAISSON_E_TEMPLATE",
        `cannot build a template in ${this.directory}: it may need ${Math.ceil(neededBytes / 1024 / 1024)} MiB, which its file system has not got to spare`,
        { remedy: "Make that file system larger, give sandboxes less memory, or turn templates off." },
      );
    }
    for (const { key, bytes } of templates) {
      if (missing <= 0) return;
      this.#discard(key);
      missing -= bytes;
    }
  }

  async #locked<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    const lock = openSync(join(this.directory, ".lock"), "a", 0o600);
    try {
      while (!flock(lock, constants.LOCK_EX | constants.LOCK_NB)) await sleep(LOCK_RETRY_MS, undefined, { signal });
      return await run();
    } finally {
      closeSync(lock);
    }
  }
}

/** Undefined when it is being removed this moment. */
function describe(folder: string, key: string): StoredTemplate | undefined {
  let bytes = 0;
  let lastUsedMs = 0;
  try {
    for (const name of readdirSync(folder)) bytes += statSync(join(folder, name)).blocks * 512;
    lastUsedMs = statSync(join(folder, MANIFEST_FILE)).mtimeMs;
    const manifest = readManifest(join(folder, MANIFEST_FILE));
    const whole =
      manifest.key === key &&
      isSealed(join(folder, MEMORY_FILE), manifest.memory) &&
      isSealed(join(folder, STATE_FILE), manifest.state);
    const condition = !whole ? "broken" : isStale(manifest) ? "stale" : "usable";
    const forkServer = forkServerPid(folder);
    return { key, bytes, lastUsedMs, condition, manifest, ...(forkServer !== undefined && { forkServer }) };
  } catch {
    return statSync(folder, { throwIfNoEntry: false }) === undefined
      ? undefined
      : { key, bytes, lastUsedMs, condition: "broken" };
  }
}

/** An input's identity begins with its path: see fileIdentity(). */
function isStale({ inputs }: Manifest): boolean {
  return Object.values(inputs).some((identity: string) => {
    const path = identity.split(":").slice(0, -5).join(":");
    try {
      return fileIdentity(path) !== identity;
    } catch {
      return true;
    }
  });
}

function isSealed(path: string, kept: Manifest["memory"]): boolean {
  const fd = openSync(path, "r");
  try {
    return sealHolds(fd, kept);
  } finally {
    closeSync(fd);
  }
}

async function fileHolds(path: string, kept: Manifest["memory"]): Promise<boolean> {
  const fd = openSync(path, "r");
  try {
    return await contentHolds(fd, kept);
  } finally {
    closeSync(fd);
  }
}
