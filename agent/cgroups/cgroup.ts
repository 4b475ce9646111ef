import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { attachDeviceFilter } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { DeviceRule } from "../../protocol/oci.ts";
import { type LoadedFilter, releaseFilter, takeFilter } from "./device-filters.ts";
import { deviceFilter } from "./devices.ts";
import { waitForLine } from "./events.ts";
import type { Setting } from "./setting.ts";

/** A directory of the guest's cgroup v2 hierarchy (Documentation/admin-guide/cgroup-v2.rst). */
export class Cgroup {
  readonly path: string;
  #filter: LoadedFilter | undefined;
  /** The rules that it carries out, as JSON. */
  #devices: string | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes the directory below `root`, with every controller the root has turned on in each folder above it.
   * @throws CAISSON_E_CGROUP when it exists already or the kernel refuses.
   */
  static create(root: string, relative: string): Cgroup {
    const names = relative.split("/");
    let path = root;
    try {
      for (const name of names) {
        enableControllers(path);
        path = `${path}/${name}`;
        const last = path.length === root.length + 1 + relative.length;
        makeDirectory(path, last);
      }
    } catch (cause) {
      throw new CaissonError("CAISSON_E_CGROUP", `the cgroup ${relative} could not be made: ${reason(cause)}`, {
        cause,
        field: "linux.cgroupsPath",
      });
    }
    return new Cgroup(path);
  }

  /** A file's trimmed text; undefined when the cgroup has no such file, because its controller is absent or off. */
  read(file: string): string | undefined {
    try {
      // Of all encodings Node has one call of its own for this one.
      return readFileSync(`${this.path}/${file}`, "utf8").trimEnd();
    } catch (error) {
      // ENODEV: the cgroup was removed while its file was open. EOPNOTSUPP: pressure accounting is off.
      if (["ENOENT", "ENODEV", "EOPNOTSUPP"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
      throw error;
    }
  }

  /** The huge page sizes its files name, e.g. "2MB". */
  pageSizes(): string[] {
    const sizes: string[] = [];
    for (const name of readdirSync(this.path)) {
      const size = /^hugetlb\.([^.]+)\.current$/.exec(name)?.[1];
      if (size !== undefined) sizes.push(size);
    }
    return sizes;
  }

  write(file: string, value: string): void {
    // Without O_CREAT, which cgroupfs answers with a misleading EPERM for a file that does not exist.
    const fd = openSync(`${this.path}/${file}`, constants.O_WRONLY);
    try {
      writeSync(fd, value);
    } finally {
      closeSync(fd);
    }
  }

  /** Carries settings out in order; throws CAISSON_E_CGROUP naming the field of the first one the kernel refuses. */
  apply(settings: readonly Setting[]): void {
    for (const { file, value, field, absentIsFine } of settings) {
      try {
        this.write(file, value);
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException;
        if (code === "ENOENT" && absentIsFine === true) continue;
        const why =
          code === "ENOENT"
            ? `the guest's kernel has no ${file}: no such file or directory (ENOENT)`
            : `writing ${JSON.stringify(value)} to ${file} failed: ${reason(cause)}`;
        throw new CaissonError("CAISSON_E_CGROUP", `${field} could not be set: ${why}`, { cause, field });
      }
    }
  }

  /**
   * Lets its processes use only the devices that the rules and the always allowed ones name, in place of what an earlier
   * call let them use. A device that a process has open stays open.
   */
  restrictDevices(rules: readonly DeviceRule[]): void {
    const wanted = JSON.stringify(rules);
    if (wanted === this.#devices) return;
    const program = deviceFilter(rules);
    const fd = openSync(this.path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      this.#replaceFilter(fd, takeFilter(program));
      this.#devices = wanted;
    } catch (cause) {
      const field = "linux.resources.devices";
      throw new CaissonError("CAISSON_E_CGROUP", `${field}: the device filter was not taken: ${reason(cause)}`, {
        cause,
        field,
      });
    } finally {
      closeSync(fd);
    }
  }

  #replaceFilter(fd: number, filter: LoadedFilter): void {
    const former = this.#filter;
    try {
      // The kernel refuses to replace a program by itself.
      if (filter !== former) attachDeviceFilter(fd, filter.fd, former?.fd);
    } catch (error) {
      releaseFilter(filter);
      throw error;
    }
    this.#filter = filter;
    if (former !== undefined) releaseFilter(former);
  }

  /** The processes in it and in the cgroups below it, as the guest's root pid namespace numbers them. */
  processes(): number[] {
    const pids: number[] = [];
    for (const directory of [this.path, ...descendants(this.path)]) {
      const text = new Cgroup(directory).read("cgroup.procs");
      if (text) for (const line of text.split("\n")) pids.push(Number(line));
    }
    return pids;
  }

  /**
   * The path of an existing cgroup below it, or of itself, "/".
   * @throws CaissonError CAISSON_E_CGROUP when there is none.
   */
  below(relative: string): string {
    const names = relative.split("/").filter((name) => name !== "" && name !== ".");
    const path = [this.path, ...names].join("/");
    const isThere = !names.includes("..") && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (isThere) return path;
    throw new CaissonError("CAISSON_E_CGROUP", `the container has no cgroup ${JSON.stringify(relative)} below its own`);
  }

  /** The path of the cgroup that a process is in, if it is this one or one below it; `root` is the hierarchy's. */
  pathOf(pid: number, root: string): string | undefined {
    let text: string;
    try {
      text = readFileSync(`/proc/${pid}/cgroup`, "latin1");
    } catch {
      return undefined;
    }
    const relative = /^0::(\/.*)$/m.exec(text)?.[1];
    const path = `${root}${relative}`;
    return path === this.path || path.startsWith(`${this.path}/`) ? path : undefined;
  }

  /** Whether a process, zombies not counted, is in it or below it. */
  populated(): boolean {
    return this.read("cgroup.events")?.includes("populated 1") ?? false;
  }

  /** Kills all processes in it and below it at once, frozen ones too, and answers when none is left. */
  async kill(): Promise<void> {
    if (!this.populated()) return;
    this.write("cgroup.kill", "1");
    await waitForLine(`${this.path}/cgroup.events`, "populated 0");
  }

  /** Removes it, the cgroups below it and the emptied ones above it, up to `root`; one that is gone is no failure. */
  remove(root: string): void {
    if (this.#filter !== undefined) releaseFilter(this.#filter);
    this.#filter = undefined;
    for (const directory of descendants(this.path).reverse()) removeDirectory(directory);
    removeDirectory(this.path);
    for (let parent = dirname(this.path); parent.length > root.length; parent = dirname(parent)) {
      try {
        rmdirSync(parent);
      } catch {
        // A cgroup with another container's below it cannot be removed yet.
        return;
      }
    }
  }
}

/** Passes on to the cgroups below `path` all controllers it has; which ones that are is the kernel's build. */
function enableControllers(path: string): void {
  const cgroup = new Cgroup(path);
  const enabled = new Set(cgroup.read("cgroup.subtree_control")?.split(" "));
  const missing = (cgroup.read("cgroup.controllers") ?? "").split(" ").filter((name) => name && !enabled.has(name));
  if (missing.length > 0) cgroup.write("cgroup.subtree_control", missing.map((name) => `+${name}`).join(" "));
}

function makeDirectory(path: string, mustBeNew: boolean): void {
  try {
    mkdirSync(path, 0o755);
  } catch (error) {
    if (mustBeNew || (error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function removeDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** The directories below `path`, parents before children. */
function descendants(path: string): string[] {
  let entries: string[];
  try {
    entries = readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${path}/${entry.name}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return entries.flatMap((entry) => [entry, ...descendants(entry)]);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
